FROM busybox:1.35
RUN touch /file
COPY src /file
