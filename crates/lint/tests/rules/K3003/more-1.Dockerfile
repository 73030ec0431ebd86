FROM debian:13
RUN curl -fsSL https://example.com/a | tar -xz
RUN curl -fsSL https://example.com/a.json | python3 -c "import json"
RUN curl -fsSL https://example.com/a > a.sh; sh a.sh
RUN wget -qO- https://example.com/a | bash -s -- --yes
