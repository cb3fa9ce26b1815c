#!/bin/sh
# Prints the section of a version out of a changelog, without its heading: sh release-notes.sh VERSION <CHANGELOG.md
set -eu
version=$1
notes=$(awk -v version="$version" '
	/^## / { inside = ($2 == version || $2 == "[" version "]"); next }
	inside { print }
')
if [ -z "$notes" ]; then
	echo "the changelog has no section for $version" >&2
	exit 1
fi
printf '%s\n' "$notes" | sed '/./,$!d'
