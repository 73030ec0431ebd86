//! Files that images are shipped with and do not need to run, by where they are.

/// What a file is that an image does not need to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Junk {
    /// Lists of the packages that there are to be installed.
    PackageLists,
    /// Packages and other things that package managers keep.
    Caches,
    /// Manuals and the like; licences are none.
    Documentation,
    /// Compilers, headers, static libraries.
    BuildTools,
    /// What git and others keep.
    VersionControl,
    /// Tests of installed packages.
    Tests,
    /// Maps from what browsers run to what it was made of.
    SourceMaps,
}

impl Junk {
    /// Its name, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PackageLists => "package-lists",
            Self::Caches => "caches",
            Self::Documentation => "documentation",
            Self::BuildTools => "build-tools",
            Self::VersionControl => "version-control",
            Self::Tests => "tests",
            Self::SourceMaps => "source-maps",
        }
    }

    /// What is at a path, which begins without a slash; `None` if it may be needed.
    pub fn of(path: &[u8]) -> Option<Self> {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix.as_bytes()));
        let has = |parts: &[&str]| parts.iter().any(|part| contains(path, part.as_bytes()));
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        if has(&["/.git/", "/.hg/", "/.svn/"]) || starts(&[".git/", ".hg/", ".svn/"]) {
            Some(Self::VersionControl)
        } else if starts(PACKAGE_LISTS) {
            Some(Self::PackageLists)
        } else if starts(CACHES) || has(CACHE_PARTS) {
            Some(Self::Caches)
        } else if starts(DOCUMENTATION) && name != b"copyright" {
            Some(Self::Documentation)
        } else if is_test(path) {
            Some(Self::Tests)
        } else if ends(name, &[".js.map", ".mjs.map", ".cjs.map", ".css.map"]) {
            Some(Self::SourceMaps)
        } else if is_build_tool(path, name) {
            Some(Self::BuildTools)
        } else {
            None
        }
    }
}

const PACKAGE_LISTS: &[&str] = &[
    "var/lib/apt/lists/",
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/srcpkgcache.bin",
    "var/cache/apk/APKINDEX",
    "etc/apk/cache/APKINDEX",
    "var/lib/pacman/sync/",
];

const CACHES: &[&str] = &[
    "var/cache/apt/",
    "var/cache/apk/",
    "etc/apk/cache/",
    "var/cache/dnf/",
    "var/cache/libdnf5/",
    "var/cache/yum/",
    "var/cache/zypp/",
    "var/cache/pacman/",
    "usr/local/share/.cache/",
    "usr/local/cargo/registry/",
    "usr/local/bundle/cache/",
    "usr/local/go/pkg/mod/cache/",
    "go/pkg/mod/cache/",
    "opt/conda/pkgs/",
];

/// Below whatever home directory.
const CACHE_PARTS: &[&str] = &[
    "/.cache/pip/",
    "/.cache/uv/",
    "/.cache/pypoetry/",
    "/.cache/yarn/",
    "/.cache/go-build/",
    "/.cache/node-gyp/",
    "/.cache/composer/",
    "/.npm/_cacache/",
    "/.local/share/pnpm/store/",
    "/.cargo/registry/",
    "/.gradle/caches/",
    "/.m2/repository/",
    "/.nuget/packages/",
    "/.composer/cache/",
    "/.gem/specs/",
];

const DOCUMENTATION: &[&str] = &[
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/info/",
    "usr/share/gtk-doc/",
    "usr/local/share/doc/",
    "usr/local/share/man/",
    "usr/local/man/",
];

/// Where programs are.
const PROGRAMS: &[&str] = &[
    "usr/bin/",
    "usr/local/bin/",
    "bin/",
    "usr/local/go/bin/",
    "usr/local/cargo/bin/",
];

/// What only builds, but for what comes before the name and the version after it.
const TOOLS: &[&str] = &[
    "gcc", "g++", "cc", "c++", "cpp", "clang", "clang++", "gfortran", "as", "ld", "ld.bfd", "ld.gold", "lld", "ar",
    "ranlib", "make", "cmake", "ninja", "meson", "autoconf", "automake", "rustc", "cargo", "go", "javac",
];

fn is_build_tool(path: &[u8], name: &[u8]) -> bool {
    let starts = |prefix: &str| path.starts_with(prefix.as_bytes());
    if starts("usr/include/") || starts("usr/lib/gcc/") || starts("usr/libexec/gcc/") {
        return true;
    }
    if (starts("usr/lib/") || starts("usr/local/lib/") || starts("lib/")) && name.ends_with(b".a") {
        return true;
    }
    PROGRAMS
        .iter()
        .any(|directory| path.strip_prefix(directory.as_bytes()) == Some(name))
        && TOOLS.iter().any(|tool| is_called(name, tool.as_bytes()))
}

/// Whether `name` is `tool`, perhaps with a target before it and a version after it: `x86_64-linux-gnu-gcc-12`.
fn is_called(name: &[u8], tool: &[u8]) -> bool {
    let is_version = |rest: &[u8]| rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    let bare = match name.iter().rposition(|byte| *byte == b'-') {
        Some(dash) if dash + 1 < name.len() && is_version(&name[dash + 1..]) => &name[..dash],
        _ => name,
    };
    bare == tool || (bare.ends_with(&[b"-", tool].concat()) && contains(bare, b"-linux-"))
}

/// Tests of packages of Node and Python; those of a program itself may be anything.
fn is_test(path: &[u8]) -> bool {
    const PACKAGES: &[&[u8]] = &[b"node_modules", b"site-packages", b"dist-packages"];
    const TESTS: &[&[u8]] = &[b"test", b"tests", b"__tests__"];
    let mut components = path.split(|byte| *byte == b'/');
    let mut directories: Vec<&[u8]> = components.by_ref().collect();
    directories.pop();
    let packages = directories.iter().position(|name| PACKAGES.contains(name));
    // The name that follows is the package's own.
    let inside = packages.and_then(|at| directories.get(at + 2..)).unwrap_or_default();
    let standard = directories
        .windows(2)
        .any(|pair| pair[0].starts_with(b"python3.") && pair[1] == b"test");
    standard || inside.iter().any(|name| TESTS.contains(name))
}

fn ends(name: &[u8], suffixes: &[&str]) -> bool {
    suffixes.iter().any(|suffix| name.ends_with(suffix.as_bytes()))
}

fn contains(path: &[u8], part: &[u8]) -> bool {
    path.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (path, expected) in [
            (
                "var/lib/apt/lists/deb.example.com_dists_Packages",
                Some(Junk::PackageLists),
            ),
            ("var/cache/apt/archives/gcc_12.deb", Some(Junk::Caches)),
            ("root/.cache/pip/http/a", Some(Junk::Caches)),
            ("home/me/.npm/_cacache/content-v2/a", Some(Junk::Caches)),
            ("usr/share/doc/libc6/changelog.gz", Some(Junk::Documentation)),
            ("usr/share/doc/libc6/copyright", None),
            ("usr/share/documents/a", None),
            ("usr/bin/x86_64-linux-gnu-gcc-12", Some(Junk::BuildTools)),
            ("usr/bin/g++", Some(Junk::BuildTools)),
            ("usr/bin/make", Some(Junk::BuildTools)),
            ("usr/bin/my-make", None),
            ("usr/bin/gccgo-tool", None),
            ("usr/bin/basename", None),
            ("usr/lib/x86_64-linux-gnu/libc.a", Some(Junk::BuildTools)),
            ("usr/lib/x86_64-linux-gnu/libc.so.6", None),
            ("usr/include/stdio.h", Some(Junk::BuildTools)),
            ("app/include/stdio.h", None),
            ("app/.git/objects/pack/a", Some(Junk::VersionControl)),
            ("app/.gitignore", None),
            ("app/node_modules/a/test/data.json", Some(Junk::Tests)),
            ("app/node_modules/test/index.js", None),
            ("app/test/index.js", None),
            ("usr/lib/python3/dist-packages/numpy/tests/a.py", Some(Junk::Tests)),
            ("usr/lib/python3.11/test/a.py", Some(Junk::Tests)),
            ("app/dist/main.js.map", Some(Junk::SourceMaps)),
            ("app/world.map", None),
        ] {
            assert_eq!(Junk::of(path.as_bytes()), expected, "{path}");
        }
    }
}
