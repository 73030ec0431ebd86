FROM opensuse/leap:15.7
