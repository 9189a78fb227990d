package command

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/portmesh/portmesh/aemp/profile"
)

// The scripts ask the tool itself, by a hidden word: the words so far and
// the one that is being typed. So completion knows of chains and flags what the
// parser knows. An answer is a candidate and its description, with a tab between;
// the line ":file" asks the shell to complete the names of files.
const (
	bashCompletion = `# bash completion for aemp: eval "$(aemp completion bash)"
_aemp() {
    local line
    # Readline splits words at colons, which addresses and function names contain.
    local words cword cur
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n :=# cur words cword
    else
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]}
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        if [[ $line == :file ]]; then
            compopt -o filenames
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
        else
            COMPREPLY+=("${line%%$'\t'*}")
        fi
    done < <(aemp __complete "${words[@]:1:cword}" 2>/dev/null)
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}
complete -F _aemp aemp
`
	zshCompletion = `#compdef aemp
# zsh completion for aemp: source <(aemp completion zsh), or a file _aemp in $fpath
_aemp() {
    local line tab=$'\t'
    local -a candidates
    for line in ${(f)"$(aemp __complete "${(@)words[2,$CURRENT]}" 2>/dev/null)"}; do
        if [[ $line == :file ]]; then
            _files
        else
            line=${${line%$tab}//:/\\:} # some have no description
            candidates+=("${line/$tab/:}")
        fi
    done
    (( $#candidates )) && _describe -t aemp aemp candidates
}
if [ "$funcstack[1]" = "_aemp" ]; then
    _aemp "$@"
else
    compdef _aemp aemp
fi
`
	fishCompletion = `# fish completion for aemp: aemp completion fish | source
function __aemp_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (aemp __complete $words[2..-1] 2>/dev/null)
        if test "$line" = :file
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c aemp -f -a '(__aemp_complete)'
`
)

var completionScripts = map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}

func completionCommand() *Command {
	return &Command{
		Name:  "completion",
		Group: generalGroup,
		Args:  "<shell>",
		Short: "print a script by which bash, zsh or fish complete command lines",
		Long: `What is completed are subcommands, also behind others, flags, the names of profiles,
and the addresses that the configuration knows.`,
		Examples: []string{"completion bash > ~/.local/share/bash-completion/completions/aemp", "completion fish | source"},
		Run: func(_ context.Context, c *Call) error {
			script, ok := completionScripts[c.Text(0)]
			if !ok {
				return Usagef("no completion for %q; want bash, zsh or fish", c.Text(0))
			}
			c.Printf("%s", script)
			return nil
		},
	}
}

// completeWord is the word by which the scripts call the tool. It is no
// subcommand, because the words behind it are not to be understood.
const completeWord = "__complete"

// complete returns what the last of the words may become.
func (e *Env) complete(words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	typed := words[len(words)-1]
	p := &parser{tool: e.Tool, env: &Env{Tool: e.Tool, flags: make(map[string]any), output: e.output, session: e.session}}
	for _, w := range words[:len(words)-1] {
		if p.word(word{value: w}) != nil {
			return nil // what follows a mistake is anybody's guess
		}
	}
	var found []string
	add := func(word, description string) {
		if strings.HasPrefix(word, typed) {
			found = append(found, word+"\t"+description)
		}
	}
	p.candidates(typed, add)
	if p.expects() == "file" && !strings.HasPrefix(typed, "-") {
		found = append(found, ":file")
	}
	return found
}

// expects returns the placeholder that comes next, or an empty string.
func (p *parser) expects() string {
	if p.wants != nil {
		return p.wants.Value
	}
	c := p.call
	if c == nil || c.full() {
		return ""
	}
	return c.params[min(len(c.Args), len(c.params)-1)].name
}

// candidates calls add for all that may come next.
func (p *parser) candidates(typed string, add func(word, description string)) {
	if p.wants == nil && strings.HasPrefix(typed, "-") {
		flags := globalFlags
		if p.call != nil {
			flags = slices.Concat(p.call.Command.Flags, globalFlags)
		}
		for _, f := range flags {
			add("--"+f.Name, f.Help)
		}
		return
	}
	switch placeholder := p.expects(); placeholder {
	case "shell":
		for _, name := range slices.Sorted(maps.Keys(completionScripts)) {
			add(name, "")
		}
	case "when":
		for _, when := range []string{"always", "auto", "never"} {
			add(when, "")
		}
	case "profile":
		p.env.profiles(add)
	case "seed":
		p.env.addresses("seeds", add)
	case "bind":
		p.env.addresses("binds", add)
	case "node", "port", "family":
		if p.env.session != nil {
			p.env.session.candidates(placeholder, add)
		}
	case "command":
		p.commands(typed != "", add)
	case "":
		if p.wants == nil {
			p.commands(typed != "", add)
		}
	}
}

// commands adds subcommands; those of two words by one word each, and aliases
// only once something has been typed.
func (p *parser) commands(aliases bool, add func(word, description string)) {
	seen := make(map[string]bool)
	for _, c := range p.tool.Commands {
		names := c.names()
		if !aliases {
			names = names[:1]
		}
		for _, name := range names {
			first, second, two := strings.Cut(name, " ")
			switch {
			case p.first != "" && first == p.first && two:
				add(second, c.Short)
			case p.first != "" || seen[first]:
			case two:
				add(first, strings.ToLower(c.Group))
				seen[first] = true
			default:
				add(first, c.Short)
				seen[first] = true
			}
		}
	}
}

// sections returns all sections of the configuration, if it can be read.
func (e *Env) sections() []*profile.Section {
	file, err := e.configFile()
	if err != nil {
		return nil // completion is no place for errors
	}
	sections := []*profile.Section{file.Defaults()}
	for _, name := range file.Profiles() {
		sections = append(sections, file.Profile(name))
	}
	return sections
}

// profiles adds the names of profiles.
func (e *Env) profiles(add func(word, description string)) {
	for _, s := range e.sections() {
		if s.Name() != "" {
			add(s.Name(), "profile")
		}
	}
}

// addresses adds the addresses that a key has anywhere.
func (e *Env) addresses(key string, add func(word, description string)) {
	seen := make(map[string]bool)
	for _, s := range e.sections() {
		list, _ := sectionList(s, mustKey(key))
		for _, address := range list {
			if !seen[address] {
				add(address, key)
			}
			seen[address] = true
		}
	}
}
