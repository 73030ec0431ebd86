FROM debian:12
# hadolint ignore=DL3003

RUN cd /x
# hadolint ignore=DL3003
# other
RUN cd /x
# other
# hadolint ignore=DL3003,DL3004
RUN cd /x && sudo x
# hadolint ignore = DL3003
RUN cd /x
#hadolint ignore=DL3003
RUN cd /x
# hadolint  ignore=DL3003 # why
RUN cd /x
  # hadolint ignore=DL3003
RUN cd /x
# hadolint ignore=DL3003 because
RUN cd /x
RUN \
# hadolint ignore=DL3003
  cd /x
