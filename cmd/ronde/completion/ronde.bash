# Completes ronde's command line in bash. Made by: ronde completion bash

_ronde() {
    local line IFS=$'\n'
    COMPREPLY=()
    for line in $("${COMP_WORDS[0]/#\~/$HOME}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null); do
        case $line in
            :files) compopt -o default ;; # with no reply of ours, readline's own
            :folders) compopt -o dirnames ;;
            *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done
}

complete -F _ronde ronde
