FROM a:1
RUN <<EOF
cd /x
sudo a
EOF

RUN <<EOF bash
cd /x
EOF

RUN cat <<EOF > /x
cd /x
EOF

RUN <<-EOF
	cd /x
	EOF

RUN <<"EOF"
sudo x
EOF

RUN bash <<EOF
sudo x
EOF
