# shellcheck shell=bash
# Sourced by machines.sh: programs of Debian's packages for guests; this machine gets none of them.
#
#   NAME/root      the packages of NAME, unpacked
#   NAME/version   of the first of them, as Debian has it
#   NAME/cpio.gz   what guests get of it, for every kernel

readonly LIBRARIES=x86_64-linux-gnu

# fetch_programs NAME PACKAGE...: fails where this machine's mirror has not all of them.
fetch_programs() {
    local name=$1 root=$DIR/$1/root package
    shift
    [ -d "$root" ] && return
    prepare_apt
    say "$name: fetching its packages"
    rm -rf "${root%/root}"
    mkdir -p "$DIR/$name/packages" "$root.partial"
    (cd "$DIR/$name/packages" && tried apt-get "${APT[@]}" download "$@") || return
    for package in "$DIR/$name"/packages/*.deb; do
        logged dpkg-deb -x "$package" "$root.partial"
    done
    dpkg-deb -f "$DIR/$name/packages/$1"_*.deb Version >"$DIR/$name/version"
    rm -r "$DIR/$name/packages"
    mv "$root.partial" "$root"
}

# add_program ROOT TREE FILE: a file of ROOT and the libraries that it needs, each at the place that it has there.
add_program() {
    local root=$1 tree=$2 file=$3 name found
    [ -e "$tree/$file" ] && return
    install -D "$root/$file" "$tree/$file"
    strip --strip-unneeded "$tree/$file"
    for name in $(objdump -p "$root/$file" | sed -n 's/^ *NEEDED *//p'); do
        found=$(cd "$root" && find . -path "*/$LIBRARIES/$name" -print -quit)
        [ -n "$found" ] || fail "none of the packages in $root has $name"
        add_program "$root" "$tree" "$found"
    done
}

# prepare_programs NAME BUILD PACKAGE...: calls BUILD, which makes NAME/cpio.gz, where all packages can be had.
prepare_programs() {
    local name=$1 build=$2
    shift 2
    if fetch_programs "$name" "$@"; then
        "$build"
    else
        say "this machine's mirror has not all packages of $name; going on without it (log: $LOG)"
    fi
}
