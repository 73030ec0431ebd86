# Holds keys in an agent for as long as somebody holds the other end of standard input: also one who is killed lets go.
# Prints the agent's socket. The arguments are files of keys.
set -eu
directory=$(mktemp -d)
socket=$directory/agent
ssh-agent -D -a "$socket" >/dev/null 2>&1 &
agent=$!
trap 'kill $agent 2>/dev/null || true; rm -rf "$directory"' EXIT
export SSH_AUTH_SOCK="$socket"
# The socket is there before somebody listens. ssh-add -l says 2 if nobody answers, 1 if there are no keys yet.
until code=0 && { ssh-add -l >/dev/null 2>&1 || code=$?; } && [ $code -ne 2 ]; do
    kill -0 $agent
    sleep 0.01
done
ssh-add -q -- "$@" </dev/null
echo "$socket"
cat >/dev/null
