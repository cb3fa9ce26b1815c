
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
            cand --docker 'The engine of this host: docker, podman, ''sudo -n docker'', oci:DIR [default: what is there]'
            cand --remote-docker 'The engine of the remote [default: what is there]'
            cand -f 'Where temporary files go, on both sides [default: the system''s place]'
            cand --tmpfolder 'Where temporary files go, on both sides [default: the system''s place]'
            cand --memory 'The most memory to take on each side, besides 64 MiB, whatever the image and the other side are'
            cand --method 'How contents cross'
            cand --compression 'auto (as hard as the link is slow), max (fewest bytes), or a zstd level, 1 to 22'
            cand --identity 'What stays the same where image IDs are those of manifests: containerd image stores, OCI layouts'
            cand --basis 'The image of the target to build on, instead of the one that is found'
            cand --color 'When to use colours; NO_COLOR and CLICOLOR are honoured'
            cand -a 'All images that need update or are new'
            cand --all 'All images that need update or are new'
            cand -u 'Only images that need update (of those named, if any are)'
            cand --update 'Only images that need update (of those named, if any are)'
            cand -n 'Only images that are new (of those named, if any are)'
            cand --new 'Only images that are new (of those named, if any are)'
            cand -r 'Show the report, move nothing'
            cand --report 'Show the report, move nothing'
            cand -p 'This host is the source and REMOTE the target'
            cand --push 'This host is the source and REMOTE the target'
            cand --dry-run 'Print what would be moved, image by image, and move nothing'
            cand --explain 'Say which files the bytes are that cross (or would)'
            cand --verify 'Read the image on the target again, and check every byte of it'
            cand --json 'One JSON document on standard output instead of text'
            cand -q 'Say nothing but data and errors'
            cand --quiet 'Say nothing but data and errors'
            cand -v 'Say what is being done and why'
            cand --verbose 'Say what is being done and why'
            cand --no-progress 'No progress lines, even on a terminal'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand diff 'Write what makes one image of another to a file'
            cand apply 'Make an image out of a patch and the image that it was made against'
            cand cache 'Show or empty the index cache of this host'
            cand completions 'Print a completion script for your shell'
            cand man 'Print the manual page'
            cand agent 'Serve another docker-sync on standard input and output'
        }
        &'docker-sync;diff'= {
            cand -o 'The patch'
            cand --output 'The patch'
            cand --compression 'auto, max (fewest bytes), or a zstd level, 1 to 22'
            cand --identity 'What stays the same of NEW where its ID is that of a manifest: in containerd image stores and OCI layouts'
            cand --docker 'The engine of this host: docker, podman, ''sudo -n docker'', oci:DIR [default: what is there]'
            cand --tmpfolder 'Where temporary files go [default: the system''s place]'
            cand --memory 'The most memory to take, besides 64 MiB'
            cand -v 'Say what is being done'
            cand --verbose 'Say what is being done'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'docker-sync;apply'= {
            cand --docker 'The engine of this host: docker, podman, ''sudo -n docker'', oci:DIR [default: what is there]'
            cand --tmpfolder 'Where temporary files go [default: the system''s place]'
            cand --memory 'The most memory to take, besides 64 MiB'
            cand -v 'Say what is being done'
            cand --verbose 'Say what is being done'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'docker-sync;cache'= {
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand ls 'List the layers that are known, the one that was used last first'
            cand prune 'Remove what was not used for longest, down to the limit'
        }
        &'docker-sync;cache;ls'= {
            cand --json 'One JSON document on standard output instead of text'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
        }
        &'docker-sync;cache;prune'= {
            cand --max-size 'How much may stay, as 100MB or 1GiB [default: 512MiB]'
            cand --all 'Remove everything; the next sync reads its layers again'
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
