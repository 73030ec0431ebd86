FROM a:1
RUN apt-get install -y --no-install-recommends {a,b}
RUN apt-get install -y --no-install-recommends a*=1
RUN apt-get install -y --no-install-recommends $'a=1'
RUN apt-get install -y --no-install-recommends ./x
RUN apt-get install -y --no-install-recommends x.deb
RUN apt-get install -y --no-install-recommends -t x y=1
RUN apt-get install -y --no-install-recommends -t=x y=1 z
RUN apt-get install -y --no-install-recommends --target-release x y=1
RUN apt-get -y install --no-install-recommends -o A::B=c y=1
RUN apt-get install -y --no-install-recommends -o A=c y=1
RUN apt-get install -y --no-install-recommends y=1 - 
RUN apt-get install -y --no-install-recommends y=1 -- z=2
RUN apt-get install -y --no-install-recommends y=1 > x
RUN apt-get install -y --no-install-recommends install
RUN apt-get remove install -y --no-install-recommends x
RUN DEBIAN_FRONTEND=x apt-get install -y -o APT::Install-Recommends=false x=1
RUN apt-get install -yqq -o APT::Install-Recommends=0 x=1
RUN apt-get install -qq -o APT::Install-Recommends="false" x=1
RUN apt-get install -q=2 --no-install-recommends x=1
RUN apt-get install -q -q --no-install-recommends x=1
RUN apt-get install -q --no-install-recommends x=1
RUN apt-get install --quiet --quiet --no-install-recommends x=1
RUN apt-get install --assume-yes --no-install-recommends x=1
RUN apt-get install --quiet=2 --no-install-recommends x=1
RUN apt-get install -q --quiet --no-install-recommends x=1
RUN apt-get install --force-yes --no-install-recommends x=1
RUN apt-get install --yes --no-install-recommends x=1 <<< y
RUN apt-get build-dep x
RUN apt-get install -qqq --no-install-recommends x=1
