FROM a:1
RUN pip install --foo a
RUN pip install --user a
RUN pip install --upgrade a==1
RUN pip install --no-binary :all: a==1
RUN pip install -U a
RUN pip install --no-deps a
RUN pip install a --prefix /x
RUN pip install --prefix=/x a==1
RUN pip install --extra-index-url https://x a==1
RUN pip install --no-build-isolation a
RUN pip install --break-system-packages a==1
RUN pip install --progress-bar off a==1
RUN pip install --root-user-action ignore a==1
RUN pip install --timeout 5 a==1
RUN pip install --retries 5 a==1
RUN pip install --cache-dir x a==1
RUN pip install --config-settings x a==1
RUN pip install --no-warn-script-location a==1
RUN pip install --quiet a==1
RUN pip install --log x a==1
RUN pip install --cert x a==1
RUN pip install --global-option x a==1
RUN pip install --install-option x a==1
RUN pip install --src x a==1
RUN pip install --root x a==1
RUN pip install -b x a==1
RUN pip install --build x a==1
RUN pip install -f x a==1
RUN pip install --python-version x a==1
RUN pip install --platform x a==1
RUN pip install --abi x a==1
RUN pip install --implementation x a==1
RUN pip install --only-binary x a==1
RUN pip install --upgrade-strategy x a==1
RUN pip install --trusted-host x a==1
RUN pip install --proxy x a==1
RUN pip install --editable x a==1
RUN pip install -e x a==1
RUN pip install --client-cert x a==1
RUN pip install --exists-action x a==1
RUN pip install --report x a==1
RUN pip install --python x a==1
RUN pip install --use-feature x a==1
RUN pip install --requirement=x a
RUN pip install .[x]
RUN pip install '.[x]'
RUN pip install a.zip
RUN pip install *.whl
RUN pip install $(cat x)
RUN pip --proxy x install a==1
RUN pip install a;python_version<'3'
RUN pip -q install a
RUN pip install a@1 @x
