FROM --platform=linux/amd64 debian:bookworm-slim AS server-amd64
LABEL maintainer=ops@example.org
RUN dpkg --add-architecture i386 \
	&& apt-get update \
	&& apt-get install -y --no-install-recommends lib32gcc-s1 lib32stdc++6
ENV STEAMAPPID 730
ENV STEAMAPPDIR "/home/steam/cs-dedicated"
RUN { \
		echo '@ShutdownOnFailedCommand 1'; \
		echo 'login anonymous'; \
		echo 'app_update '"${STEAMAPPID}"''; \
		echo 'quit'; \
	} > /update.txt
EXPOSE 27015/tcp 27015/udp 27020/udp
HEALTHCHECK NONE
CMD ["bash", "entry.sh"]
