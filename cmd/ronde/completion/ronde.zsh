#compdef ronde
# Completes ronde's command line in zsh. Made by: ronde completion zsh

_ronde() {
    local line
    local -a candidates
    while IFS= read -r line; do
        case $line in
            :files) _files ;;
            :folders) _files -/ ;;
            *) candidates+=("${${line%%$'\t'*}//:/\\:}:${${line#*$'\t'}%.}") ;;
        esac
    done < <("${(Q)words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    (( $#candidates )) && _describe ronde candidates
}

# The file may be sourced, or loaded as a function from fpath.
if [[ $funcstack[1] == _ronde ]]; then
    _ronde "$@"
else
    compdef _ronde ronde
fi
