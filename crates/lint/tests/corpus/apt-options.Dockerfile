FROM debian:12
RUN apt-get -o Acquire::Retries=3 update && apt-get -o Dpkg::Options::="--force-confold" install -y a=1 b
RUN apt-get install --yes -t bookworm-backports c
RUN apt-get update && apt-get install -y --no-install-recommends $PACKAGES && apt-get clean && rm -rf /var/lib/apt/lists/* /tmp/* /var/tmp/*
RUN apt-get update && apt-get install -yq d && rm -r /var/lib/apt/lists/*
RUN apt-get update; apt-get install -qqy e; apt-get purge -y --auto-remove e; rm -rf /var/lib/apt/lists
RUN apt-get install f/stable g=1
RUN aptitude update && aptitude install -y h
RUN DEBIAN_FRONTEND=noninteractive apt-get install i --assume-yes
RUN apt-get source j && apt-get build-dep -y k && apt-get upgrade -y && apt-get dist-upgrade
