#!/bin/sh
# Builds a release in a new Debian 12, as root, in the folder of the source. $SERVER, $REPOSITORY and $TAG say where it
# will be published.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --yes --no-install-recommends ca-certificates cargo-web cpio curl gcc git libc6-dev openssh-client \
	python3 python3-pip rpm ruby rustc-web
# The source is of another user.
git config --global --add safe.directory '*'
cargo xtask dist --check --url "$SERVER/$REPOSITORY/releases/download/$TAG"
