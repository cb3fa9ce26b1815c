# Completion of docker-sync for fish: the program itself knows the candidates.

function __docker_sync_complete
    set -l words (commandline -opc) "$(commandline -ct)"
    set -l lines (command docker-sync __complete $words[2..] 2>/dev/null)
    if test "$lines[-1]" = ":0"
        __fish_complete_path "$(commandline -ct)"
    else if test (count $lines) -gt 1
        printf '%s\n' $lines[1..-2]
    end
end

complete -c docker-sync -f -a '(__docker_sync_complete)'
