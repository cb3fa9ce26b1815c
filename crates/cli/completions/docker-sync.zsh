#compdef docker-sync
# Completion of docker-sync for zsh: the program itself knows the candidates.

_docker-sync() {
    local -a lines candidates
    local line
    lines=("${(@f)$(docker-sync __complete "${(@)words[2,CURRENT - 1]}" "$PREFIX" 2>/dev/null)}")
    if [[ $lines[-1] == :0 ]]; then
        _files
        return
    fi
    for line in "${(@)lines[1,-2]}"; do
        # A colon ends the word for `_describe`, and a tab does here.
        candidates+=("${${line%%$'\t'*}//:/\\:}${${(M)line%%$'\t'*}:+:${line#*$'\t'}}")
    done
    local -a glue
    [[ $#candidates -eq 1 && $candidates[1] == *\\: ]] && glue=(-S '')
    _describe -t words 'docker-sync' candidates "${glue[@]}"
}

if [[ $funcstack[1] == _docker-sync ]]; then
    _docker-sync "$@"
else
    compdef _docker-sync docker-sync
fi
