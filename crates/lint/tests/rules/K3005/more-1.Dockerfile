FROM debian:13
ARG PASSWORD
RUN curl -u "me:$PASSWORD" https://example.com/
RUN curl -u "me:$(cat /key)" https://example.com/
RUN git clone ssh://git@example.com/a.git
RUN mysqladmin --password=abc status
RUN read -r own < /f && curl -u "me:$own" https://example.com/
RUN curl -H "Authorization: Bearer abc" https://example.com/
RUN curl -H "Authorization: Bearer $(cat /t)" https://example.com/
