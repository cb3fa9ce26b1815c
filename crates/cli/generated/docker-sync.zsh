#compdef docker-sync

autoload -U is-at-least

_docker-sync() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'--platform=[Only images of this platform\: OS/ARCH\[/VARIANT\], as linux/arm64]:PLATFORM:_default' \
'--ssh=[The ssh program with its options, as '\''ssh -i key -J jump'\'']:CMD:_default' \
'--docker=[The engine of this host\: docker, podman, '\''sudo -n docker'\'', oci\:DIR \[default\: what is there\]]:CMD:_default' \
'--remote-docker=[The engine of the remote \[default\: what is there\]]:CMD:_default' \
'-f+[Directory for temporary files, on both sides \[default\: the system'\''s\]]:DIR:_files' \
'--tmpfolder=[Directory for temporary files, on both sides \[default\: the system'\''s\]]:DIR:_files' \
'--memory=[Memory limit of each side, in addition to a fixed 64 MiB, whatever the image and the other side are]:SIZE:_default' \
'--timeout=[Seconds without a word from the other side after which it is given up; 0 for never]:N:_default' \
'--retries=[Further tries when the connection fails, after pauses of 1 s, 2 s, 4 s … up to 30 s; 0 for none]:N:_default' \
'--engine-timeout=[Seconds that an engine may keep a side waiting; 0 for any time]:N:_default' \
'--method=[Transfer method]:METHOD:((auto\:"Delta where the remote lets an agent run, else rsync, else stream"
delta\:"Only contents that the target lacks, found with an agent on the remote"
rsync\:"rsync of partial archives, as the original did; the remote needs rsync"
stream\:"A compressed archive of the missing layers; the remote needs nothing but its engine"))' \
'--compression=[auto (by the speed of the link), max (fewest bytes), or a zstd level, 1 to 22]:LEVEL:_default' \
'--identity=[Identity to preserve in stores that name images by manifests\: containerd image stores, OCI layouts]:IDENTITY:((exact\:"The image ID, with every manifest and every compressed layer"
content\:"Config and files; layers are kept uncompressed under another ID, which takes less work"))' \
'--basis=[The target'\''s image to build on, instead of the one that is found]:IMAGE:_default' \
'--progress=[Form of the progress on standard error]:FORM:((auto\:"tty on a terminal, else plain"
tty\:"A line that is drawn anew"
plain\:"A line every five seconds"
json\:"An event a line, as JSON"
none\:"Nothing"))' \
'--color=[When to use colours; NO_COLOR and CLICOLOR are honoured]:WHEN:((auto\:"On a terminal"
always\:"On a pipe too"
never\:"Not at all"))' \
'-a[All images that need update or are new]' \
'--all[All images that need update or are new]' \
'-u[Only images that need update (of those named, if any are)]' \
'--update[Only images that need update (of those named, if any are)]' \
'-n[Only images that are new (of those named, if any are)]' \
'--new[Only images that are new (of those named, if any are)]' \
'-r[Show the report, move nothing]' \
'--report[Show the report, move nothing]' \
'-p[This host is the source and REMOTE the target]' \
'--push[This host is the source and REMOTE the target]' \
'(-p --push)--pull[REMOTE is the source and this host the target, as without it]' \
'--dry-run[Print what would be moved, image by image, and move nothing]' \
'--explain[List the files that the transferred bytes belong to]' \
'--verify[Read the image back on the target, and check every byte of it]' \
'--json[Print one JSON document instead of text]' \
'(-v --verbose)-q[Print only data and errors]' \
'(-v --verbose)--quiet[Print only data and errors]' \
'-v[Print what is being done and why]' \
'--verbose[Print what is being done and why]' \
'--no-progress[The same as --progress=none]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'-V[Print version]' \
'--version[Print version]' \
':remote -- The other side\: user@host, an ssh alias, ssh\://user@host\:port, oci\:DIR, docker-archive\:FILE, or oci-archive\:FILE:_default' \
'::images -- Images to bring over\: NAME or NAME\:TAG, a pattern like '\''shop/*\:v2'\'', or an image ID:_default' \
":: :_docker-sync_commands" \
"*::: :->docker-sync" \
&& ret=0
    case $state in
    (docker-sync)
        words=($line[3] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:docker-sync-command-$line[3]:"
        case $line[3] in
            (diff)
_arguments "${_arguments_options[@]}" : \
'-o+[The patch file to write]:FILE:_files' \
'--output=[The patch file to write]:FILE:_files' \
'--compression=[auto, max (fewest bytes), or a zstd level, 1 to 22]:LEVEL:_default' \
'--identity=[Identity of NEW to preserve in stores that name images by manifests\: containerd image stores, OCI layouts]:IDENTITY:((exact\:"The image ID, with every manifest and every compressed layer"
content\:"Config and files; layers are kept uncompressed under another ID, which takes less work"))' \
'--docker=[The engine of this host\: docker, podman, '\''sudo -n docker'\'', oci\:DIR \[default\: what is there\]]:CMD:_default' \
'--tmpfolder=[Directory for temporary files \[default\: the system'\''s\]]:DIR:_files' \
'--memory=[Memory limit, in addition to a fixed 64 MiB]:SIZE:_default' \
'--progress=[Form of the progress on standard error]:FORM:((auto\:"tty on a terminal, else plain"
tty\:"A line that is drawn anew"
plain\:"A line every five seconds"
json\:"An event a line, as JSON"
none\:"Nothing"))' \
'-v[Print what is being done]' \
'--verbose[Print what is being done]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':old -- The image that a host needs to apply the patch:_default' \
':new -- The image that the patch makes of it:_default' \
&& ret=0
;;
(apply)
_arguments "${_arguments_options[@]}" : \
'--docker=[The engine of this host\: docker, podman, '\''sudo -n docker'\'', oci\:DIR \[default\: what is there\]]:CMD:_default' \
'--tmpfolder=[Directory for temporary files \[default\: the system'\''s\]]:DIR:_files' \
'--memory=[Memory limit, in addition to a fixed 64 MiB]:SIZE:_default' \
'--progress=[Form of the progress on standard error]:FORM:((auto\:"tty on a terminal, else plain"
tty\:"A line that is drawn anew"
plain\:"A line every five seconds"
json\:"An event a line, as JSON"
none\:"Nothing"))' \
'-v[Print what is being done]' \
'--verbose[Print what is being done]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':file -- The patch, as `docker-sync diff` wrote it:_files' \
&& ret=0
;;
(cache)
_arguments "${_arguments_options[@]}" : \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
":: :_docker-sync__subcmd__cache_commands" \
"*::: :->cache" \
&& ret=0

    case $state in
    (cache)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:docker-sync-cache-command-$line[1]:"
        case $line[1] in
            (ls)
_arguments "${_arguments_options[@]}" : \
'--json[Print one JSON document instead of text]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(prune)
_arguments "${_arguments_options[@]}" : \
'--max-size=[Size limit, as 100MB or 1GiB \[default\: 512MiB\]]:SIZE:_default' \
'(--max-size)--all[Remove everything; the next sync reads its layers again]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
        esac
    ;;
esac
;;
(completions)
_arguments "${_arguments_options[@]}" : \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':shell -- The shell to complete in:(bash elvish fish powershell zsh)' \
&& ret=0
;;
(man)
_arguments "${_arguments_options[@]}" : \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(agent)
_arguments "${_arguments_options[@]}" : \
'--version[Print which agent this is]' \
'-h[Print help]' \
'--help[Print help]' \
'::folder -- The directory that relative paths are meant from:_default' \
&& ret=0
;;
        esac
    ;;
esac
}

(( $+functions[_docker-sync_commands] )) ||
_docker-sync_commands() {
    local commands; commands=(
'diff:Write the difference between two images to a patch file' \
'apply:Make the new image from a patch and the old image' \
'cache:List or prune the index cache of this host' \
'completions:Print a completion script for your shell' \
'man:Print the manual page' \
'agent:Serve another docker-sync on standard input and output' \
    )
    _describe -t commands 'docker-sync commands' commands "$@"
}
(( $+functions[_docker-sync__subcmd__agent_commands] )) ||
_docker-sync__subcmd__agent_commands() {
    local commands; commands=()
    _describe -t commands 'docker-sync agent commands' commands "$@"
}
(( $+functions[_docker-sync__subcmd__apply_commands] )) ||
_docker-sync__subcmd__apply_commands() {
    local commands; commands=()
    _describe -t commands 'docker-sync apply commands' commands "$@"
}
(( $+functions[_docker-sync__subcmd__cache_commands] )) ||
_docker-sync__subcmd__cache_commands() {
    local commands; commands=(
'ls:List the layers in the cache, the most recently used first' \
'prune:Remove the least recently used layers until the cache fits the limit' \
    )
    _describe -t commands 'docker-sync cache commands' commands "$@"
}
(( $+functions[_docker-sync__subcmd__cache__subcmd__ls_commands] )) ||
_docker-sync__subcmd__cache__subcmd__ls_commands() {
    local commands; commands=()
    _describe -t commands 'docker-sync cache ls commands' commands "$@"
}
(( $+functions[_docker-sync__subcmd__cache__subcmd__prune_commands] )) ||
_docker-sync__subcmd__cache__subcmd__prune_commands() {
    local commands; commands=()
    _describe -t commands 'docker-sync cache prune commands' commands "$@"
}
(( $+functions[_docker-sync__subcmd__completions_commands] )) ||
_docker-sync__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'docker-sync completions commands' commands "$@"
}
(( $+functions[_docker-sync__subcmd__diff_commands] )) ||
_docker-sync__subcmd__diff_commands() {
    local commands; commands=()
    _describe -t commands 'docker-sync diff commands' commands "$@"
}
(( $+functions[_docker-sync__subcmd__man_commands] )) ||
_docker-sync__subcmd__man_commands() {
    local commands; commands=()
    _describe -t commands 'docker-sync man commands' commands "$@"
}

if [ "$funcstack[1]" = "_docker-sync" ]; then
    _docker-sync "$@"
else
    compdef _docker-sync docker-sync
fi
