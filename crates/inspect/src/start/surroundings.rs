//! What a command needs besides programs and libraries: certificates to trust, time zones, directories that are its user's.

use std::collections::HashSet;

use super::user::User;
use super::{Fault, Look, Problem, Report, variable};
use crate::index::Kind;
use crate::tree::Place;

/// Libraries that speak TLS, by the beginnings of their names.
const TLS: &[&[u8]] = &[
    b"libssl.so",
    b"libgnutls.so",
    b"libmbedtls.so",
    b"libwolfssl.so",
    b"libtls.so",
    b"libs2n.so",
];

/// Where distributions keep the certificates that programs trust.
const CERTIFICATES: &[&str] = &[
    "etc/ssl/certs/ca-certificates.crt",
    "etc/ssl/cert.pem",
    "etc/ssl/ca-bundle.pem",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/pki/tls/cacert.pem",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "usr/local/share/certs/ca-root-nss.crt",
];

/// The same as a directory of files.
const CERTIFICATE_DIRECTORIES: &[&str] = &["etc/ssl/certs", "etc/pki/tls/certs"];

/// What says where else they are: files, and directories.
const CERTIFICATE_VARIABLES: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"];

/// Names that every C library knows without a file.
const KNOWN_ZONES: &[&str] = &["UTC", "UTC0", "GMT", "GMT0"];

/// Where anybody may write in any container, or where runtimes put something of their own.
const SCRATCH: &[&str] = &["tmp", "var/tmp", "run", "var/run", "dev", "proc", "sys"];

impl Look<'_> {
    /// Looks at all of it; `needed` are the nodes of what the command loads.
    pub(super) fn surroundings(&self, user: &User, needed: &HashSet<u32>, report: &mut Report) {
        self.certificates(needed, report);
        self.time_zone(report);
        if user.uid != 0 {
            self.working_directory(user, report);
            self.volumes(user, report);
            report.writable = self.writable(user);
        }
    }

    fn certificates(&self, needed: &HashSet<u32>, report: &mut Report) {
        let name = |node: &u32| {
            let path = self.tree.path(*node);
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
            TLS.iter().any(|start| name.starts_with(start)).then_some(name)
        };
        report.tls = needed.iter().filter_map(name).min();
        let Some(library) = report.tls.clone() else { return };
        let has_file = |path: &str| self.tree.file(path.as_bytes()).is_some();
        let has_several = |path: &str| {
            let found = self.tree.resolve(0, path.as_bytes());
            found.is_ok_and(|found| self.tree.children(found.node).next().is_some())
        };
        let is_said = |name: &&str| variable(self.image, name).is_some_and(|path| has_file(path) || has_several(path));
        let are_there = CERTIFICATES.iter().any(|path| has_file(path))
            || CERTIFICATE_DIRECTORIES.iter().any(|path| has_several(path))
            || CERTIFICATE_VARIABLES.iter().any(is_said);
        if !are_there {
            report.add(Vec::new(), None, Fault::NoCertificates { library });
        }
    }

    fn time_zone(&self, report: &mut Report) {
        let Some(zone) = variable(self.image, "TZ").filter(|zone| !zone.is_empty()) else {
            return;
        };
        report.time_zone = Some(zone.to_owned());
        let name = zone.strip_prefix(':').unwrap_or(zone);
        // `CET-1CEST,M3.5.0,M10.5.0/3` says all by itself.
        let is_rule = name.contains(',') || !name.contains('/') && name.contains(|c: char| c.is_ascii_digit());
        let directory = variable(self.image, "TZDIR").unwrap_or("/usr/share/zoneinfo");
        let path = if name.starts_with('/') {
            name.to_owned()
        } else {
            format!("{directory}/{name}")
        };
        if KNOWN_ZONES.contains(&name) || is_rule || self.tree.file(path.as_bytes()).is_some() {
            return;
        }
        let has_others = self.tree.resolve(0, directory.as_bytes()).is_ok();
        let zone = name.to_owned();
        report.add(Vec::new(), None, Fault::NoTimeZone { zone, has_others });
    }

    fn working_directory(&self, user: &User, report: &mut Report) {
        let directory = &self.image.config.config.working_dir;
        let Ok(found) = self.tree.resolve(0, directory.as_bytes()) else {
            // A runtime makes it.
            return;
        };
        let own = found.place.filter(|place| {
            let entry = self.tree.entry(*place);
            entry.kind == Kind::Directory && !entry.is_implied && !user.may_execute(entry)
        });
        let path = self.tree.path(found.node);
        let closed = own
            .map(|_| path.clone())
            .or_else(|| self.closed_directory(&found, user));
        if let Some(closed) = closed {
            let fault = Fault::WorkdirClosed {
                directory: closed,
                user: (user.uid, user.gid),
            };
            report.add(path, found.place.map(|place| place.layer), fault);
        }
    }

    /// New volumes begin as what the image has there, with its owner; root's where it has nothing.
    fn volumes(&self, user: &User, report: &mut Report) {
        for volume in self.image.config.config.volumes.keys() {
            let found = self.tree.resolve(0, volume.as_bytes()).ok();
            let place = found.as_ref().and_then(|found| found.place);
            let entry = place
                .map(|place| self.tree.entry(place))
                .filter(|entry| !entry.is_implied);
            if entry.is_some_and(|entry| user.may_write(entry)) {
                continue;
            }
            let path = volume.trim_matches('/').as_bytes().to_vec();
            let fault = Fault::VolumeClosed {
                owner: entry.map(|entry| (entry.uid, entry.gid)),
                user: (user.uid, user.gid),
            };
            report.add(path, place.map(|place| place.layer), fault);
        }
    }

    /// Directories that are made for the user to write, outside of volumes and of where everybody may; the topmost of each.
    fn writable(&self, user: &User) -> Vec<(Vec<u8>, u32)> {
        let volumes = self
            .image
            .config
            .config
            .volumes
            .keys()
            .map(|path| path.trim_matches('/'));
        let outside: Vec<&[u8]> = volumes.chain(SCRATCH.iter().copied()).map(str::as_bytes).collect();
        let is_outside = |path: &[u8]| {
            let is_below = |top: &&[u8]| {
                path.strip_prefix(*top)
                    .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
            };
            !outside.iter().any(is_below)
        };
        let is_users = |(_, place): &(u32, Place)| {
            let entry = self.tree.entry(*place);
            let owns = entry.uid == user.uid || entry.gid == user.gid || user.groups.contains(&entry.gid);
            entry.kind == Kind::Directory && !entry.is_implied && owns && user.may_write(entry)
        };
        let found = self.tree.live().filter(is_users);
        let mut found: Vec<_> = found.map(|(node, place)| (self.tree.path(node), place.layer)).collect();
        found.retain(|(path, _)| is_outside(path));
        found.sort();
        let mut top: Option<Vec<u8>> = None;
        found.retain(|(path, _)| {
            let is_below = top
                .as_ref()
                .is_some_and(|top| path.starts_with(&[&top[..], b"/"].concat()));
            if !is_below {
                top = Some(path.clone());
            }
            !is_below
        });
        found
    }
}

impl Report {
    fn add(&mut self, path: Vec<u8>, layer: Option<u32>, fault: Fault) {
        self.problems.push(Problem {
            path,
            layer,
            is_of_command: true,
            fault,
        });
    }
}
