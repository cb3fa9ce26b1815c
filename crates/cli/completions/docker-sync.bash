# Completion of docker-sync for bash: the program itself knows the candidates.

_docker_sync() {
    # bash has split the words at colons and equals signs, too. Where no space was between two of them they are one.
    local line=${COMP_LINE#"${COMP_WORDS[0]}"} words=() word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        if [[ $line == [[:space:]]* || ${#words[@]} -eq 0 ]]; then
            line=${line#"${line%%[![:space:]]*}"}
            words+=("$word")
        else
            words[${#words[@]} - 1]+=$word
        fi
        line=${line#"$word"}
    done

    local current=${words[${#words[@]} - 1]} candidates
    mapfile -t candidates < <(docker-sync __complete "${words[@]}" 2>/dev/null)
    COMPREPLY=()
    [[ ${#candidates[@]} -gt 0 ]] || return
    if [[ ${candidates[-1]} == :0 ]]; then
        compopt -o default
        return
    fi
    unset 'candidates[-1]'
    # Readline replaces what follows the last colon or equals sign.
    local begun=${current%"${current##*[:=]}"} candidate
    for candidate in "${candidates[@]}"; do
        candidate=${candidate%%$'\t'*}
        COMPREPLY+=("${candidate#"$begun"}")
    done
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]] && compopt -o nospace
}

complete -F _docker_sync docker-sync
