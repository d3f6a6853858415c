# Sourced by the scripts that try things on a bare Debian: making one, and giving it this machine's access.
# shellcheck shell=bash

readonly RELEASE=bookworm

# The mirror, proxies, certificates and pip settings of this machine, whatever they are.
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

# make_debian DIR OPTION...: what debootstrap makes with these options; its output goes to DIR.log.
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
