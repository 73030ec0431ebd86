# hadolint global ignore=DL3001,DL3002,DL3003,DL3006,DL3007,DL3008,DL3009,DL3010,DL3015,DL3020,DL3045,DL3059,DL3064,DL3066
FROM debian:12
RUN chmod 2755 /usr/bin/app
RUN chmod 2775 /srv/data
RUN chmod g+s /usr/local/bin/app
RUN chmod g+s /srv/data
RUN chmod 5755 /app
COPY --chmod=2755 app /usr/bin/app
COPY --chmod=2755 app /srv/
COPY --chmod=6755 app /srv/
RUN chmod 1777 /srv
