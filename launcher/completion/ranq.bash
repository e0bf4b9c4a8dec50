# Bash completion for ranq: commands, options with their choices, files. It asks `ranq help --dump-tables`, so that it cannot be out of date.

_ranq_tables() {
	if [ -z "${_ranq_cache-}" ]; then _ranq_cache=$(ranq help --dump-tables 2>/dev/null); fi
	printf '%s\n' "$_ranq_cache"
}

_ranq() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} words i
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		words="help $(_ranq_tables | awk -F '\t' '$2 == "" {print $1}')"
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
		return
	fi
	if [ "$command" = help ]; then
		words=$(_ranq_tables | awk -F '\t' '$2 == "" {print $1}')
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
		return
	fi
	# behind "--" or the first word of a command to run, everything is a file or a command
	if [ "$command" = run ] || [ "$command" = submit ]; then
		for ((i = 2; i < COMP_CWORD; i++)); do
			if [ "${COMP_WORDS[i]}" = -- ]; then
				if [ "$prev" = -- ]; then mapfile -t COMPREPLY < <(compgen -c -- "$cur"); else mapfile -t COMPREPLY < <(compgen -f -- "$cur"); fi
				return
			fi
		done
	fi
	case "$prev" in
	-*)
		# an option that takes an argument: its choices, or a file when it names one
		words=$(_ranq_tables | awk -F '\t' -v c="$command" -v o="$prev" '$1 == c && ($2 == o || $3 == o) && $4 != "" {gsub(/\|/, " ", $5); print $4 " " $5; exit}')
		case "$words" in
		'') ;;
		QUEUE*) mapfile -t COMPREPLY < <(compgen -W "$(ranq queues 2>/dev/null | awk 'NR > 1 {print $1}')" -- "$cur") && return ;;
		FILE* | DIR* | PATH* | IMG*) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return ;;
		*)
			words=${words#* }
			mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
			return
			;;
		esac
		;;
	esac
	case "$cur" in
	-*)
		words=$(_ranq_tables | awk -F '\t' -v c="$command" '$1 == c && $2 != "" {print $2}')
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
		return
		;;
	esac
	case "$command" in
	server) words="start stop status" ;;
	scale) words="status set pause resume stop reconnect" ;;
	drain) words="all $(ranq workers 2>/dev/null | awk 'NR > 1 {print $1}')" ;;
	wait | results | tasks | info | log | cancel | retry | rm) words="last $(ranq jobs 2>/dev/null | awk 'NR > 1 {print $1}')" ;;
	pause | resume | rm-queue) words=$(ranq queues 2>/dev/null | awk 'NR > 1 {print $1}') ;;
	*) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o filenames -F _ranq ranq
