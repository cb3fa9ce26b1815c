#!/bin/sh
# Installs docker-sync @VERSION@ for this machine. Root is not needed.
#
#   sh install.sh [--from PLACE] [--prefix DIR] [--plugin] [--signers FILE]
#
# PLACE is a folder, or an http or https address, with the archives and SHA256SUMS: the folder of this script unless
# told otherwise. DIR gets bin and share; it is ~/.local unless told otherwise. --plugin links it as `docker sync`, too.
# FILE has the keys that may have signed SHA256SUMS, as `ssh-keygen -Y verify` takes them; without, none has to.
set -eu

version=@VERSION@
from=
prefix=${HOME:-}/.local
plugin=
signers=

fail() {
	echo "install.sh: $1" >&2
	exit 1
}

while [ $# -gt 0 ]; do
	case $1 in
	--from | --prefix | --signers)
		[ $# -gt 1 ] || fail "$1 wants a value"
		case $1 in
		--from) from=${2%/} ;;
		--prefix) prefix=${2%/} ;;
		*) signers=$2 ;;
		esac
		shift 2
		;;
	--plugin)
		plugin=yes
		shift
		;;
	-h | --help)
		sed -n '2,8s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*) fail "there is no option $1: see --help" ;;
	esac
done
[ -n "$from" ] || from=$(dirname "$0")
case $prefix in
/*) ;;
*) fail "--prefix wants an absolute path, not $prefix" ;;
esac

case $(uname -s) in
Linux) system=unknown-linux-musl ;;
Darwin) system=apple-darwin ;;
*) fail "there is no docker-sync for $(uname -s)" ;;
esac
case $(uname -m) in
x86_64 | amd64) machine=x86_64 ;;
aarch64 | arm64) machine=aarch64 ;;
*) fail "there is no docker-sync for $(uname -m): see docs/releasing.md" ;;
esac
name=docker-sync-$version-$machine-$system

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

fetch() {
	case $from in
	http://* | https://*)
		if command -v curl >/dev/null; then
			curl -fsSL -o "$folder/$1" "$from/$1" || fail "cannot fetch $from/$1"
		elif command -v wget >/dev/null; then
			wget -q -O "$folder/$1" "$from/$1" || fail "cannot fetch $from/$1"
		else
			fail "neither curl nor wget is here to fetch $from/$1"
		fi
		;;
	*) cp "$from/$1" "$folder/$1" || fail "cannot copy $from/$1" ;;
	esac
}

fetch SHA256SUMS
if [ -n "$signers" ]; then
	[ -r "$signers" ] || fail "cannot read $signers"
	command -v ssh-keygen >/dev/null || fail "ssh-keygen is not here to check the signature"
	fetch SHA256SUMS.sig
	signature=$folder/SHA256SUMS.sig
	# Several names may be those of the key; one is enough.
	signer=$(ssh-keygen -Y find-principals -s "$signature" -f "$signers" 2>/dev/null | head -n 1)
	[ -n "$signer" ] && ssh-keygen -Y verify -f "$signers" -I "$signer" -n file -s "$signature" \
		<"$folder/SHA256SUMS" >/dev/null 2>&1 ||
		fail "SHA256SUMS is not signed by a key of $signers; nothing was installed"
fi
fetch "$name.tar.gz"
expected=$(sed -n "s/^\([0-9a-f]\{64\}\)  $name\.tar\.gz\$/\1/p" "$folder/SHA256SUMS")
[ -n "$expected" ] || fail "SHA256SUMS has no line for $name.tar.gz"
if command -v sha256sum >/dev/null; then
	actual=$(sha256sum <"$folder/$name.tar.gz")
elif command -v shasum >/dev/null; then
	actual=$(shasum -a 256 <"$folder/$name.tar.gz")
else
	fail "neither sha256sum nor shasum is here to check $name.tar.gz"
fi
[ "${actual%% *}" = "$expected" ] || fail "$name.tar.gz is not what SHA256SUMS says; nothing was installed"
gzip -dc "$folder/$name.tar.gz" | tar -xf - -C "$folder" || fail "cannot unpack $name.tar.gz"

# put FROM DIR NAME MODE: in one step, whatever runs or is read meanwhile.
put() {
	mkdir -p "$2" || fail "cannot make $2"
	cp "$folder/$name/$1" "$2/.$3.$$" && chmod "$4" "$2/.$3.$$" && mv -f "$2/.$3.$$" "$2/$3" ||
		fail "cannot write $2/$3"
}
put docker-sync "$prefix/bin" docker-sync 755
put docker-sync.1 "$prefix/share/man/man1" docker-sync.1 644
put completions/docker-sync.bash "$prefix/share/bash-completion/completions" docker-sync 644
put completions/docker-sync.fish "$prefix/share/fish/vendor_completions.d" docker-sync.fish 644
put completions/_docker-sync "$prefix/share/zsh/site-functions" _docker-sync 644
if [ -n "$plugin" ]; then
	mkdir -p "$HOME/.docker/cli-plugins" && ln -sf "$prefix/bin/docker-sync" "$HOME/.docker/cli-plugins/docker-sync" ||
		fail "cannot link $HOME/.docker/cli-plugins/docker-sync"
fi
echo "installed $prefix/bin/docker-sync"
case :${PATH:-}: in
*:"$prefix/bin":*) ;;
*) echo "$prefix/bin is not in PATH" ;;
esac
