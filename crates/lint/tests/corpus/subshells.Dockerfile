FROM debian:12
RUN (cd /src; make) && ( sudo -u x true )
RUN version="$(curl -s https://example.com/v)" && echo "$version"
RUN for p in a b; do pip install "$p"; done
RUN while read -r l; do npm install "$l"; done < list.txt
RUN x=`cat /etc/os-release | head -1`; echo $x
RUN { echo a; echo b; } > /etc/x
RUN f() { wget "$1"; }; f https://example.com
RUN test -f x || curl -o x https://example.com/x
RUN if ! command -v sudo; then apt-get install -y sudo; fi
RUN apt-get update & wait
RUN exec sudo reboot
RUN [ -d /x ] && cd /x && [[ -f y ]] && rm -f y
RUN echo "a | b" 'c && sudo d' # sudo e
RUN env FOO=bar pip install x
RUN npm ci && npm cache clean --force; npm i -g x; npm install --global --save y@^1.0.0 @s/z
