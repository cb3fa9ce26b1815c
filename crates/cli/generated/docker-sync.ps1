
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'docker-sync' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'docker-sync'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'docker-sync' {
            [CompletionResult]::new('--platform', '--platform', [CompletionResultType]::ParameterName, 'Only images of this platform: OS/ARCH[/VARIANT], as linux/arm64')
            [CompletionResult]::new('--ssh', '--ssh', [CompletionResultType]::ParameterName, 'The ssh program with its options, as ''ssh -i key -J jump''')
            [CompletionResult]::new('--docker', '--docker', [CompletionResultType]::ParameterName, 'The engine of this host: docker, podman, containerd, ''sudo docker'', oci:DIR [default: what is there]')
            [CompletionResult]::new('--remote-docker', '--remote-docker', [CompletionResultType]::ParameterName, 'The engine of the remote [default: what is there]')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Directory for temporary files, on both sides [default: the system''s]')
            [CompletionResult]::new('--tmpfolder', '--tmpfolder', [CompletionResultType]::ParameterName, 'Directory for temporary files, on both sides [default: the system''s]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Seconds without a word from the other side after which it is given up; 0 for never')
            [CompletionResult]::new('--engine-timeout', '--engine-timeout', [CompletionResultType]::ParameterName, 'Seconds that an engine may keep a side waiting; 0 for any time')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'Memory limit of each side, in addition to a fixed 64 MiB, whatever the image and the other side are')
            [CompletionResult]::new('--limit', '--limit', [CompletionResultType]::ParameterName, 'The most bytes that cross in a second, in each direction, as 2MB/s')
            [CompletionResult]::new('--retries', '--retries', [CompletionResultType]::ParameterName, 'Further tries when the connection fails, after pauses of 1 s, 2 s, 4 s … up to 30 s; 0 for none')
            [CompletionResult]::new('--method', '--method', [CompletionResultType]::ParameterName, 'Transfer method')
            [CompletionResult]::new('--compression', '--compression', [CompletionResultType]::ParameterName, 'auto (by the speed of the link), max (fewest bytes), or a zstd level, 1 to 22')
            [CompletionResult]::new('--identity', '--identity', [CompletionResultType]::ParameterName, 'Identity to preserve in stores that name images by manifests: containerd image stores, OCI layouts')
            [CompletionResult]::new('--basis', '--basis', [CompletionResultType]::ParameterName, 'The target''s image to build on, instead of the one that is found')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'Print each image of the report by a template, as ''{{.Name}} {{.Status}}''')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Form of the progress on standard error')
            [CompletionResult]::new('--color', '--color', [CompletionResultType]::ParameterName, 'When to use colours; NO_COLOR and CLICOLOR are honoured')
            [CompletionResult]::new('-a', '-a', [CompletionResultType]::ParameterName, 'All images that need update or are new')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'All images that need update or are new')
            [CompletionResult]::new('-u', '-u', [CompletionResultType]::ParameterName, 'Only images that need update (of those named, if any are)')
            [CompletionResult]::new('--update', '--update', [CompletionResultType]::ParameterName, 'Only images that need update (of those named, if any are)')
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Only images that are new (of those named, if any are)')
            [CompletionResult]::new('--new', '--new', [CompletionResultType]::ParameterName, 'Only images that are new (of those named, if any are)')
            [CompletionResult]::new('--if-newer', '--if-newer', [CompletionResultType]::ParameterName, 'Leave images alone that are newer on the target')
            [CompletionResult]::new('-r', '-r', [CompletionResultType]::ParameterName, 'Show the report, move nothing')
            [CompletionResult]::new('--report', '--report', [CompletionResultType]::ParameterName, 'Show the report, move nothing')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'This host is the source and REMOTE the target')
            [CompletionResult]::new('--push', '--push', [CompletionResultType]::ParameterName, 'This host is the source and REMOTE the target')
            [CompletionResult]::new('--pull', '--pull', [CompletionResultType]::ParameterName, 'REMOTE is the source and this host the target, as without it')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Print what would be moved, image by image, and move nothing')
            [CompletionResult]::new('--explain', '--explain', [CompletionResultType]::ParameterName, 'List the files that the transferred bytes belong to')
            [CompletionResult]::new('--verify', '--verify', [CompletionResultType]::ParameterName, 'Read the image back on the target, and check every byte of it')
            [CompletionResult]::new('--with-referrers', '--with-referrers', [CompletionResultType]::ParameterName, 'Sync no image without its signatures and attestations, or fail; by default they go along where both stores keep them')
            [CompletionResult]::new('--no-referrers', '--no-referrers', [CompletionResultType]::ParameterName, 'Leave signatures and attestations beside an image behind')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document instead of text')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Print only data and errors')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Print only data and errors')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print what is being done and why')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print what is being done and why')
            [CompletionResult]::new('--no-progress', '--no-progress', [CompletionResultType]::ParameterName, 'The same as --progress=none')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('diff', 'diff', [CompletionResultType]::ParameterValue, 'Write the difference between two images to a patch file')
            [CompletionResult]::new('apply', 'apply', [CompletionResultType]::ParameterValue, 'Make the new image from a patch and the old image')
            [CompletionResult]::new('patch', 'patch', [CompletionResultType]::ParameterValue, 'Print what a patch file is made of')
            [CompletionResult]::new('cache', 'cache', [CompletionResultType]::ParameterValue, 'List or prune the index cache of this host')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Examine this host, a remote and the link between them; move nothing')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print a completion script for your shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Print the manual page')
            [CompletionResult]::new('agent', 'agent', [CompletionResultType]::ParameterValue, 'Serve another docker-sync on standard input and output')
            break
        }
        'docker-sync;diff' {
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'The patch file to write; - for standard output')
            [CompletionResult]::new('--output', '--output', [CompletionResultType]::ParameterName, 'The patch file to write; - for standard output')
            [CompletionResult]::new('--compression', '--compression', [CompletionResultType]::ParameterName, 'auto, max (fewest bytes), or a zstd level, 1 to 22')
            [CompletionResult]::new('--identity', '--identity', [CompletionResultType]::ParameterName, 'Identity of NEW to preserve in stores that name images by manifests: containerd image stores, OCI layouts')
            [CompletionResult]::new('--docker', '--docker', [CompletionResultType]::ParameterName, 'The engine of this host: docker, podman, containerd, ''sudo docker'', oci:DIR [default: what is there]')
            [CompletionResult]::new('--tmpfolder', '--tmpfolder', [CompletionResultType]::ParameterName, 'Directory for temporary files [default: the system''s]')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'Memory limit, in addition to a fixed 64 MiB')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Form of the progress on standard error')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace a file that is there already')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print what is being done')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print what is being done')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'docker-sync;apply' {
            [CompletionResult]::new('--docker', '--docker', [CompletionResultType]::ParameterName, 'The engine of this host: docker, podman, containerd, ''sudo docker'', oci:DIR [default: what is there]')
            [CompletionResult]::new('--tmpfolder', '--tmpfolder', [CompletionResultType]::ParameterName, 'Directory for temporary files [default: the system''s]')
            [CompletionResult]::new('--memory', '--memory', [CompletionResultType]::ParameterName, 'Memory limit, in addition to a fixed 64 MiB')
            [CompletionResult]::new('--progress', '--progress', [CompletionResultType]::ParameterName, 'Form of the progress on standard error')
            [CompletionResult]::new('--dry-run', '--dry-run', [CompletionResultType]::ParameterName, 'Find out whether this host has what the patch builds on, and make nothing')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print what is being done')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print what is being done')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'docker-sync;patch' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('info', 'info', [CompletionResultType]::ParameterValue, 'Print the old and the new image, sizes, and what a host needs to apply it')
            break
        }
        'docker-sync;patch;info' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document instead of text')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'docker-sync;cache' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('ls', 'ls', [CompletionResultType]::ParameterValue, 'List the layers in the cache, the most recently used first')
            [CompletionResult]::new('prune', 'prune', [CompletionResultType]::ParameterValue, 'Remove the least recently used layers until the cache fits the limit')
            break
        }
        'docker-sync;cache;ls' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document instead of text')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'docker-sync;cache;prune' {
            [CompletionResult]::new('--max-size', '--max-size', [CompletionResultType]::ParameterName, 'Size limit, as 100MB or 1GiB [default: 512MiB]')
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Remove everything; the next sync reads its layers again')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'docker-sync;doctor' {
            [CompletionResult]::new('--ssh', '--ssh', [CompletionResultType]::ParameterName, 'The ssh program with its options, as ''ssh -i key -J jump''')
            [CompletionResult]::new('--docker', '--docker', [CompletionResultType]::ParameterName, 'The engine of this host: docker, podman, containerd, ''sudo docker'', oci:DIR [default: what is there]')
            [CompletionResult]::new('--remote-docker', '--remote-docker', [CompletionResultType]::ParameterName, 'The engine of the remote [default: what is there]')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Directory for temporary files, on both sides [default: the system''s]')
            [CompletionResult]::new('--tmpfolder', '--tmpfolder', [CompletionResultType]::ParameterName, 'Directory for temporary files, on both sides [default: the system''s]')
            [CompletionResult]::new('--timeout', '--timeout', [CompletionResultType]::ParameterName, 'Seconds without a word from the other side after which it is given up; 0 for never')
            [CompletionResult]::new('--engine-timeout', '--engine-timeout', [CompletionResultType]::ParameterName, 'Seconds that an engine may keep a side waiting; 0 for any time')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Print one JSON document instead of text')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Print what is being done')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Print what is being done')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'docker-sync;completions' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'docker-sync;man' {
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            break
        }
        'docker-sync;agent' {
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print which agent this is')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
