
use builtin;
use str;

set edit:completion:arg-completer[docker-sync] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'docker-sync'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'docker-sync'= {
            cand --platform 'Only images of this platform: OS/ARCH[/VARIANT], as linux/arm64'
            cand --ssh 'The ssh program with its options, as ''ssh -i key -J jump'''
            cand --docker 'The engine of this host: docker, podman, containerd, ''sudo docker'', oci:DIR [default: what is there]'
            cand --remote-docker 'The engine of the remote [default: what is there]'
            cand -f 'Directory for temporary files, on both sides [default: the system''s]'
            cand --tmpfolder 'Directory for temporary files, on both sides [default: the system''s]'
            cand --timeout 'Seconds without a word from the other side after which it is given up; 0 for never'
            cand --engine-timeout 'Seconds that an engine may keep a side waiting; 0 for any time'
            cand --memory 'Memory limit of each side, in addition to a fixed 64 MiB, whatever the image and the other side are'
            cand --limit 'The most bytes that cross in a second, in each direction, as 2MB/s'
            cand --retries 'Further tries when the connection fails, after pauses of 1 s, 2 s, 4 s … up to 30 s; 0 for none'
            cand --method 'Transfer method'
            cand --compression 'auto (by the speed of the link), max (fewest bytes), or a zstd level, 1 to 22'
            cand --identity 'Identity to preserve in stores that name images by manifests: containerd image stores, OCI layouts'
            cand --basis 'The target''s image to build on, instead of the one that is found'
            cand --format 'Print each image of the report by a template, as ''{{.Name}} {{.Status}}'''
            cand --progress 'Form of the progress on standard error'
            cand --color 'When to use colours; NO_COLOR and CLICOLOR are honoured'
            cand -a 'All images that need update or are new'
            cand --all 'All images that need update or are new'
            cand -u 'Only images that need update (of those named, if any are)'
            cand --update 'Only images that need update (of those named, if any are)'
            cand -n 'Only images that are new (of those named, if any are)'
            cand --new 'Only images that are new (of those named, if any are)'
            cand --if-newer 'Leave images alone that are newer on the target'
            cand -r 'Show the report, move nothing'
            cand --report 'Show the report, move nothing'
            cand -p 'This host is the source and REMOTE the target'
            cand --push 'This host is the source and REMOTE the target'
            cand --pull 'REMOTE is the source and this host the target, as without it'
            cand --dry-run 'Print what would be moved, image by image, and move nothing'
            cand --explain 'List the files that the transferred bytes belong to'
            cand --verify 'Read the image back on the target, and check every byte of it'
            cand --with-referrers 'Sync no image without its signatures and attestations, or fail; by default they go along where both stores keep them'
            cand --no-referrers 'Leave signatures and attestations beside an image behind'
            cand --json 'Print one JSON document instead of text'
            cand -q 'Print only data and errors'
            cand --quiet 'Print only data and errors'
            cand -v 'Print what is being done and why'
            cand --verbose 'Print what is being done and why'
            cand --no-progress 'The same as --progress=none'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand diff 'Write the difference between two images to a patch file'
            cand apply 'Make the new image from a patch and the old image'
            cand patch 'Print what a patch file is made of'
            cand cache 'List or prune the index cache of this host'
            cand doctor 'Examine this host, a remote and the link between them; move nothing'
            cand completions 'Print a completion script for your shell'
            cand man 'Print the manual page'
            cand agent 'Serve another docker-sync on standard input and output'
        }
        &'docker-sync;diff'= {
            cand -o 'The patch file to write; - for standard output'
            cand --output 'The patch file to write; - for standard output'
            cand --compression 'auto, max (fewest bytes), or a zstd level, 1 to 22'
            cand --identity 'Identity of NEW to preserve in stores that name images by manifests: containerd image stores, OCI layouts'
            cand --docker 'The engine of this host: docker, podman, containerd, ''sudo docker'', oci:DIR [default: what is there]'
            cand --tmpfolder 'Directory for temporary files [default: the system''s]'
            cand --memory 'Memory limit, in addition to a fixed 64 MiB'
            cand --progress 'Form of the progress on standard error'
            cand --force 'Replace a file that is there already'
            cand -v 'Print what is being done'
            cand --verbose 'Print what is being done'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'docker-sync;apply'= {
            cand --docker 'The engine of this host: docker, podman, containerd, ''sudo docker'', oci:DIR [default: what is there]'
            cand --tmpfolder 'Directory for temporary files [default: the system''s]'
            cand --memory 'Memory limit, in addition to a fixed 64 MiB'
            cand --progress 'Form of the progress on standard error'
            cand --dry-run 'Find out whether this host has what the patch builds on, and make nothing'
            cand -v 'Print what is being done'
            cand --verbose 'Print what is being done'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'docker-sync;patch'= {
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand info 'Print the old and the new image, sizes, and what a host needs to apply it'
        }
        &'docker-sync;patch;info'= {
            cand --json 'Print one JSON document instead of text'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'docker-sync;cache'= {
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand ls 'List the layers in the cache, the most recently used first'
            cand prune 'Remove the least recently used layers until the cache fits the limit'
        }
        &'docker-sync;cache;ls'= {
            cand --json 'Print one JSON document instead of text'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'docker-sync;cache;prune'= {
            cand --max-size 'Size limit, as 100MB or 1GiB [default: 512MiB]'
            cand --all 'Remove everything; the next sync reads its layers again'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'docker-sync;doctor'= {
            cand --ssh 'The ssh program with its options, as ''ssh -i key -J jump'''
            cand --docker 'The engine of this host: docker, podman, containerd, ''sudo docker'', oci:DIR [default: what is there]'
            cand --remote-docker 'The engine of the remote [default: what is there]'
            cand -f 'Directory for temporary files, on both sides [default: the system''s]'
            cand --tmpfolder 'Directory for temporary files, on both sides [default: the system''s]'
            cand --timeout 'Seconds without a word from the other side after which it is given up; 0 for never'
            cand --engine-timeout 'Seconds that an engine may keep a side waiting; 0 for any time'
            cand --json 'Print one JSON document instead of text'
            cand -v 'Print what is being done'
            cand --verbose 'Print what is being done'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'docker-sync;completions'= {
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'docker-sync;man'= {
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'docker-sync;agent'= {
            cand --version 'Print which agent this is'
            cand -h 'Print help'
            cand --help 'Print help'
        }
    ]
    $completions[$command]
}
