FROM buildpack-deps:bookworm
RUN set -eux; \
	mkdir -p /usr/local/etc; \
	echo 'gem: --no-document' >> /usr/local/etc/gemrc
ENV LANG C.UTF-8
ENV RUBY_VERSION 3.3.5
ENV RUBY_DOWNLOAD_SHA256 3781a3504222c2f26cb4b9eb9c1a12dbf4944d366ce24a9ff8cf99ecbce75196
RUN set -eux; \
	wget -O ruby.tar.xz "https://releases.example/ruby-${RUBY_VERSION%.*}/ruby-$RUBY_VERSION.tar.xz"; \
	echo "$RUBY_DOWNLOAD_SHA256 *ruby.tar.xz" | sha256sum --check --strict
ENV GEM_HOME /usr/local/bundle
ENV BUNDLE_SILENCE_ROOT_WARNING=1 \
	BUNDLE_APP_CONFIG="$GEM_HOME"
ENV PATH $GEM_HOME/bin:$PATH
RUN mkdir "$GEM_HOME"; chmod 1777 "$GEM_HOME"
CMD [ "irb" ]
