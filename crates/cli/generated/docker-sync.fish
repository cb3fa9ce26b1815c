# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_docker_sync_global_optspecs
    string join \n a/all u/update n/new r/report p/push pull dry-run explain verify platform= ssh= docker= remote-docker= f/tmpfolder= memory= timeout= retries= engine-timeout= method= compression= identity= basis= json q/quiet v/verbose progress= no-progress color= h/help V/version
end

function __fish_docker_sync_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_docker_sync_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_docker_sync_using_subcommand
    set -l cmd (__fish_docker_sync_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c docker-sync -n "__fish_docker_sync_needs_command" -l platform -d 'Only images of this platform: OS/ARCH[/VARIANT], as linux/arm64' -r
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l ssh -d 'The ssh program with its options, as \'ssh -i key -J jump\'' -r
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l docker -d 'The engine of this host: docker, podman, \'sudo -n docker\', oci:DIR [default: what is there]' -r
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l remote-docker -d 'The engine of the remote [default: what is there]' -r
complete -c docker-sync -n "__fish_docker_sync_needs_command" -s f -l tmpfolder -d 'Directory for temporary files, on both sides [default: the system\'s]' -r -F
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l memory -d 'Memory limit of each side, in addition to a fixed 64 MiB, whatever the image and the other side are' -r
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l timeout -d 'Seconds without a word from the other side after which it is given up; 0 for never' -r
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l retries -d 'Further tries when the connection fails, after pauses of 1 s, 2 s, 4 s … up to 30 s; 0 for none' -r
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l engine-timeout -d 'Seconds that an engine may keep a side waiting; 0 for any time' -r
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l method -d 'Transfer method' -r -f -a "auto\t'Delta where the remote lets an agent run, else rsync, else stream'
delta\t'Only contents that the target lacks, found with an agent on the remote'
rsync\t'rsync of partial archives, as the original did; the remote needs rsync'
stream\t'A compressed archive of the missing layers; the remote needs nothing but its engine'"
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l compression -d 'auto (by the speed of the link), max (fewest bytes), or a zstd level, 1 to 22' -r
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l identity -d 'Identity to preserve in stores that name images by manifests: containerd image stores, OCI layouts' -r -f -a "exact\t'The image ID, with every manifest and every compressed layer'
content\t'Config and files; layers are kept uncompressed under another ID, which takes less work'"
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l basis -d 'The target\'s image to build on, instead of the one that is found' -r
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l progress -d 'Form of the progress on standard error' -r -f -a "auto\t'tty on a terminal, else plain'
tty\t'A line that is drawn anew'
plain\t'A line every five seconds'
json\t'An event a line, as JSON'
none\t'Nothing'"
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l color -d 'When to use colours; NO_COLOR and CLICOLOR are honoured' -r -f -a "auto\t'On a terminal'
always\t'On a pipe too'
never\t'Not at all'"
complete -c docker-sync -n "__fish_docker_sync_needs_command" -s a -l all -d 'All images that need update or are new'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -s u -l update -d 'Only images that need update (of those named, if any are)'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -s n -l new -d 'Only images that are new (of those named, if any are)'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -s r -l report -d 'Show the report, move nothing'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -s p -l push -d 'This host is the source and REMOTE the target'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l pull -d 'REMOTE is the source and this host the target, as without it'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l dry-run -d 'Print what would be moved, image by image, and move nothing'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l explain -d 'List the files that the transferred bytes belong to'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l verify -d 'Read the image back on the target, and check every byte of it'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l json -d 'Print one JSON document instead of text'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -s q -l quiet -d 'Print only data and errors'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -s v -l verbose -d 'Print what is being done and why'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -l no-progress -d 'The same as --progress=none'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -s V -l version -d 'Print version'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -a "diff" -d 'Write the difference between two images to a patch file'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -a "apply" -d 'Make the new image from a patch and the old image'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -a "cache" -d 'List or prune the index cache of this host'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -a "completions" -d 'Print a completion script for your shell'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -a "man" -d 'Print the manual page'
complete -c docker-sync -n "__fish_docker_sync_needs_command" -a "agent" -d 'Serve another docker-sync on standard input and output'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand diff" -s o -l output -d 'The patch file to write' -r -F
complete -c docker-sync -n "__fish_docker_sync_using_subcommand diff" -l compression -d 'auto, max (fewest bytes), or a zstd level, 1 to 22' -r
complete -c docker-sync -n "__fish_docker_sync_using_subcommand diff" -l identity -d 'Identity of NEW to preserve in stores that name images by manifests: containerd image stores, OCI layouts' -r -f -a "exact\t'The image ID, with every manifest and every compressed layer'
content\t'Config and files; layers are kept uncompressed under another ID, which takes less work'"
complete -c docker-sync -n "__fish_docker_sync_using_subcommand diff" -l docker -d 'The engine of this host: docker, podman, \'sudo -n docker\', oci:DIR [default: what is there]' -r
complete -c docker-sync -n "__fish_docker_sync_using_subcommand diff" -l tmpfolder -d 'Directory for temporary files [default: the system\'s]' -r -F
complete -c docker-sync -n "__fish_docker_sync_using_subcommand diff" -l memory -d 'Memory limit, in addition to a fixed 64 MiB' -r
complete -c docker-sync -n "__fish_docker_sync_using_subcommand diff" -l progress -d 'Form of the progress on standard error' -r -f -a "auto\t'tty on a terminal, else plain'
tty\t'A line that is drawn anew'
plain\t'A line every five seconds'
json\t'An event a line, as JSON'
none\t'Nothing'"
complete -c docker-sync -n "__fish_docker_sync_using_subcommand diff" -s v -l verbose -d 'Print what is being done'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand apply" -l docker -d 'The engine of this host: docker, podman, \'sudo -n docker\', oci:DIR [default: what is there]' -r
complete -c docker-sync -n "__fish_docker_sync_using_subcommand apply" -l tmpfolder -d 'Directory for temporary files [default: the system\'s]' -r -F
complete -c docker-sync -n "__fish_docker_sync_using_subcommand apply" -l memory -d 'Memory limit, in addition to a fixed 64 MiB' -r
complete -c docker-sync -n "__fish_docker_sync_using_subcommand apply" -l progress -d 'Form of the progress on standard error' -r -f -a "auto\t'tty on a terminal, else plain'
tty\t'A line that is drawn anew'
plain\t'A line every five seconds'
json\t'An event a line, as JSON'
none\t'Nothing'"
complete -c docker-sync -n "__fish_docker_sync_using_subcommand apply" -s v -l verbose -d 'Print what is being done'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand cache; and not __fish_seen_subcommand_from ls prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand cache; and not __fish_seen_subcommand_from ls prune" -f -a "ls" -d 'List the layers in the cache, the most recently used first'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand cache; and not __fish_seen_subcommand_from ls prune" -f -a "prune" -d 'Remove the least recently used layers until the cache fits the limit'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand cache; and __fish_seen_subcommand_from ls" -l json -d 'Print one JSON document instead of text'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand cache; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand cache; and __fish_seen_subcommand_from prune" -l max-size -d 'Size limit, as 100MB or 1GiB [default: 512MiB]' -r
complete -c docker-sync -n "__fish_docker_sync_using_subcommand cache; and __fish_seen_subcommand_from prune" -l all -d 'Remove everything; the next sync reads its layers again'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand cache; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand agent" -l version -d 'Print which agent this is'
complete -c docker-sync -n "__fish_docker_sync_using_subcommand agent" -s h -l help -d 'Print help'
