# Functions for the proofs on a bare Debian, which source this file: making one, and giving it access to the network.
# shellcheck shell=bash

readonly RELEASE=bookworm

# copy_access DIR: copies this machine's mirror, proxies, certificates and pip settings to the system in DIR.
copy_access() {
    local path
    rm -rf "$1/etc/apt"
    for path in /etc/apt /etc/resolv.conf /etc/hosts /etc/pip.conf /root/.config/pip /root/.pip \
        /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates /usr/share/keyrings; do
        [ -e "$path" ] || continue
        mkdir -p "$1$(dirname "$path")"
        cp -RLT "$path" "$1$path"
    done
}

access_environment() { env | grep -iE '^(pip_[a-z_]*|https?_proxy|no_proxy|ssl_cert_(file|dir))=' || true; }

# make_debian DIR OPTION...: a new system in DIR, by debootstrap with these options, which logs to DIR.log.
make_debian() {
    local root=$1 mirror
    shift
    command -v debootstrap >/dev/null || fail "needs debootstrap: apt-get install debootstrap"
    # shellcheck disable=SC2016  # apt expands these
    mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        sed -n "s/^$RELEASE //p" | head -n 1)
    [ -n "$mirror" ] || fail "apt on this machine has no source for $RELEASE: see /etc/apt/sources.list"
    rm -rf --one-file-system "$root.partial"
    debootstrap "$@" "$RELEASE" "$root.partial" "$mirror" >"$root.log" 2>&1 ||
        fail "debootstrap failed: see $root.log"
    mv "$root.partial" "$root"
}
