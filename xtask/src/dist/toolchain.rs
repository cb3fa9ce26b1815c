//! The toolchain of releases: a compiler and its standard library as source, of Debian, and a C compiler with a C library,
//! of PyPI. Nothing of it is installed: it is unpacked below `~/.cache/docker-sync-tools`, each part of one version.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dsync_core::Digest;

use super::parts::Part;
use super::target::{self, System, TARGETS, Target};
use crate::{Result, shell, show, tools};

/// The name of its directory: a change of the pins or of what is made of them gets another number.
const NAME: &str = "release-1";

/// The packages that shape what is built: name, version, SHA-256.
const PINNED: [(&str, &str, &str); 7] = [
    ("rustc-web", RUST, "8fefe1d6377fe4082f5a9d2a47e095e2d20319eaab9754bd2f0275155c9adf90"),
    ("cargo-web", RUST, "daa5189c56b7e0895f9c89335aae3fc909272f5df332c101c80405695014b149"),
    ("rust-web-src", RUST, "9de8597c464d0a9283672973ed7e50092b49a92b95861429043fe8b57468a208"),
    ("libstd-rust-web-1.96", RUST, "3755f30434ae29574c91b0beb86632bee401607b0ac35c3e52810f9a53fae0d1"),
    ("libstd-rust-web-dev", RUST, "e38dbeaaad673fc63fb47c5140cf34da271ac71c3ecafc828b762c2fb01fe77a"),
    ("libllvm22", LLVM, "729ec3e943d320515c2bbdc96acfffd7ce34861e62bd5c42726bf586d644dfe2"),
    ("lld-22", LLVM, "13103b3fb3195bfeade9835d3906a4cc91002010f9013d98aa1fc55b841d07b4"),
];
const RUST: &str = "1.96.0+dfsg1-1~deb12u2";
const LLVM: &str = "1:22.1.8-1~deb12u1";

/// The libraries that compiler and cargo are linked with, and that shape nothing: of whichever version apt has, checked
/// by apt. Those of C and of gcc are this machine's.
const LIBRARIES: &str = "libz3-4 libedit2 libxml2 libicu72 liblzma5 libbsd0 libmd0 libtinfo6 libgit2-1.5 \
    libhttp-parser2.9 libmbedcrypto7 libmbedtls14 libmbedx509-1 libpcre2-8-0 libsqlite3-0 libcurl4 libssh2-1 libssl3 \
    libnghttp2-14 libidn2-0 libunistring2 librtmp1 libpsl5 libbrotli1 libgssapi-krb5-2 libkrb5-3 libk5crypto3 \
    libkrb5support0 libkeyutils1 libcom-err2 libldap-2.5-0 libsasl2-2 libgnutls30 libnettle8 libhogweed6 libgmp10 \
    libp11-kit0 libtasn1-6 libffi8 libzstd1 zlib1g";

/// The wheel of the C compiler, for requirements of pip.
const ZIG: &str = "ziglang==0.15.2 \
    --hash=sha256:806316453d1ede7174ed3fefb8e5348154629089c3bb5fe812dfd0e172fac130\n";

/// The files that a static program of C is linked with.
const C_LIBRARY: [&str; 4] = ["rcrt1.o", "libc.a", "libzigc.a", "libcompiler_rt.a"];

/// The functions that print a backtrace, which has nothing to go by in programs without unwind tables.
const NO_UNWINDER: &str = "int _Unwind_Backtrace(void *found, void *argument) { return 5; }
unsigned long _Unwind_GetIP(void *context) { return 0; }
";
/// The object that has them.
const NO_UNWINDER_OBJECT: &str = "no-unwinder.o";

/// A toolchain that is there.
pub(crate) struct Toolchain {
    home: PathBuf,
}

impl Toolchain {
    /// It, fetched first where it is not there yet.
    pub(crate) fn ready() -> Result<Toolchain> {
        if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
            return Err("releases are built on x86-64 Linux: for that alone the compiler is pinned".into());
        }
        let all = tools::cache()?;
        let home = all.join(NAME);
        if !home.join("complete").is_file() {
            show::note(format_args!("fetching the toolchain of releases into {}", home.display()));
            fs::create_dir_all(&all).map_err(|error| format!("cannot create {}: {error}", all.display()))?;
            if home.exists() {
                fs::remove_dir_all(&home)?;
            }
            let toolchain = Toolchain { home: home.clone() };
            fetch_packages(&toolchain.root())?;
            toolchain.fetch_c_compiler()?;
            toolchain.write_programs()?;
            TARGETS.iter().try_for_each(|target| toolchain.make_c_library(target))?;
            fs::write(home.join("complete"), "")?;
        }
        let toolchain = Toolchain { home };
        toolchain.write_programs()?;
        Ok(toolchain)
    }

    /// The folder that packages are unpacked into.
    fn root(&self) -> PathBuf {
        self.home.join("root")
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    /// Its cargo, in a workspace, with all that it has to know for these targets.
    pub(super) fn cargo(&self, workspace: &Path, target: &Target) -> Result<Command> {
        let mut cargo = Command::new(self.root().join("usr/bin/cargo"));
        cargo.current_dir(workspace);
        // Nothing of the cargo, and of the settings, that this program was started with.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let kept = ["CARGO_HOME", "CARGO_REGISTRIES_", "CARGO_HTTP_", "CARGO_NET_"];
            let build = ["CARGO", "RUST", "CFLAGS", "CC", "AR", "LD", "DOCKER_SYNC_"];
            let of_the_build = build.iter().any(|prefix| name.starts_with(prefix));
            if of_the_build && !kept.iter().any(|prefix| name.starts_with(prefix)) {
                cargo.env_remove(&*name);
            }
        }
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map(|dir| self.root().join(dir));
        cargo.env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?);
        // The compiler is a stable one; the standard library is built from its source, which is not stable.
        cargo.env("RUSTC", self.root().join("usr/bin/rustc")).env("RUSTC_BOOTSTRAP", "1");
        cargo.env("CARGO_INCREMENTAL", "0").env("ZIG_GLOBAL_CACHE_DIR", self.home.join("zig/cache"));
        for target in target::all() {
            let name = target.triple().replace('-', "_");
            cargo.env(format!("CC_{name}"), self.bin(&target.cc()));
            cargo.env(format!("AR_{name}"), self.bin("ar"));
            let linker = format!("CARGO_TARGET_{}_LINKER", name.to_uppercase());
            cargo.env(linker, self.bin(&target.linker()));
        }
        // The folder of Apple's libraries on a Mac. Here it holds the stubs of the C compiler.
        cargo.env("SDKROOT", self.home.join("zig/ziglang/lib/libc/darwin"));
        let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let cargo_home = cargo_home
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
            .ok_or("no home of cargo: neither CARGO_HOME nor HOME is set")?;
        // No path of this machine is in what is built.
        let remap =
            [(&self.home, "/tools"), (&cargo_home, "/cargo"), (&workspace.to_owned(), "/docker-sync")]
                .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
        let own: &[&str] = match target.system {
            // The linker brings the C library.
            System::Linux => &["-Clink-self-contained=no"],
            // rustc has no program here that strips those of macOS; the linker does.
            System::MacOs => &["-Cstrip=none", "-Clink-arg=-s"],
        };
        let flags: Vec<String> = own.iter().map(|flag| (*flag).into()).chain(remap).collect();
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        Ok(cargo)
    }

    /// The libraries that it links into every program.
    pub(super) fn libraries(&self) -> [Part; 3] {
        let rust = RUST.split('+').next().unwrap_or(RUST);
        let source = self.root().join("usr/lib/rustlib/src/rust");
        let zig = self.home.join("zig/ziglang");
        [
            Part::library("musl", "1.2.5", "MIT", zig.join("lib/libc/musl")),
            Part::library("rust-std", rust, "MIT OR Apache-2.0", source),
            Part::library("zig-compiler-rt", "0.15.2", "MIT", zig),
        ]
    }

    fn fetch_c_compiler(&self) -> Result {
        let mut requirements = tempfile::NamedTempFile::new()?;
        requirements.write_all(ZIG.as_bytes())?;
        tools::install_wheels(requirements.path(), &self.home.join("zig"))
    }

    /// Programs that give the C compiler, the archiver and the linker what they need.
    fn write_programs(&self) -> Result {
        fs::create_dir_all(self.home.join("bin"))?;
        let zig = self.home.join("zig/ziglang/zig");
        let write = |name: &str, text: String| -> Result {
            fs::write(self.bin(name), format!("#!/bin/sh\n{text}\n"))?;
            Ok(fs::set_permissions(self.bin(name), PermissionsExt::from_mode(0o755))?)
        };
        write("ar", format!("exec {} ar \"$@\"", zig.display()))?;
        // Others name a target in other words.
        let without = "for word do\n\tshift\n\tcase $word in";
        let rest = "*) set -- \"$@\" \"$word\" ;; esac\ndone";
        for target in target::all() {
            // rustc and others name a Mac's machine, version and libraries in two words.
            let theirs = match target.system {
                System::Linux => "",
                System::MacOs => {
                    "-arch | -isysroot) skip=yes ;; -mmacosx-version-min=* | -mmacos-version-min=* | -lunwind | \
                     -liconv) ;;"
                }
            };
            let skip = "[ -z \"$skip\" ] || { skip=; continue; }";
            let cc = format!(
                "skip=\nfor word do\n\tshift\n\t{skip}\n\tcase $word in {theirs} --target=*) ;; {rest}\n\
                 exec {} cc -target {} {} \"$@\"",
                zig.display(),
                target.of_c(),
                target.c_flags
            );
            write(&target.cc(), cc)?;
        }
        for target in &TARGETS {
            let parts = C_LIBRARY.map(|name| self.c_library(target).join(name).display().to_string());
            let [start, libraries @ ..] = &parts;
            let no_unwinder = self.c_library(target).join(NO_UNWINDER_OBJECT);
            let own = "-lc | -lunwind) ;; -Wl,*) set -- \"$@\" \"${word#-Wl,}\" ;;";
            // Rust makes no static program for aarch64 whose address is random; its code is fit for it.
            let ld = format!(
                "{without} {own} {rest}\nexec {} --icf=all --build-id=none -O2 -pie --no-dynamic-linker -z text \
                 -z pack-relative-relocs {start} \"$@\" {} {}",
                self.root().join("usr/lib/llvm-22/bin/ld.lld").display(),
                no_unwinder.display(),
                libraries.join(" ")
            );
            write(&target.linker(), ld)?;
        }
        Ok(())
    }

    fn c_library(&self, target: &Target) -> PathBuf {
        self.home.join("musl").join(target.machine)
    }

    /// Has the C compiler make its C library: it does so when it links a program, and says with which files.
    fn make_c_library(&self, target: &Target) -> Result {
        let folder = self.c_library(target);
        fs::create_dir_all(&folder)?;
        let compile = |name: &str, text: &str, flags: &[&str]| -> Result<String> {
            fs::write(folder.join(name), text)?;
            let mut cc = Command::new(self.bin(&target.cc()));
            cc.arg("-Os").arg("-fPIE").args(flags).arg(name).current_dir(&folder);
            cc.env("ZIG_VERBOSE_LINK", "1").env("ZIG_GLOBAL_CACHE_DIR", self.home.join("zig/cache"));
            let output = cc.output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() {
                Ok(said)
            } else {
                Err(format!("{} failed: {said}", show::typed(&cc)).into())
            }
        };
        compile("no-unwinder.c", NO_UNWINDER, &["-ffunction-sections", "-c", "-o", NO_UNWINDER_OBJECT])?;
        let said = compile("program.c", "int main(void) { return 0; }\n", &["-static-pie", "-o", "program"])?;
        for name in C_LIBRARY {
            let ends = |word: &&str| Path::new(word).file_name().is_some_and(|file| file == name);
            let from = said.split_whitespace().find(ends);
            let from =
                from.ok_or_else(|| format!("the C compiler did not say where its {name} is: {said}"))?;
            fs::copy(from, folder.join(name))?;
        }
        Ok(())
    }
}

/// Fetches the packages by apt, compares those that are pinned, and unpacks them.
fn fetch_packages(root: &Path) -> Result {
    fs::create_dir_all(root)?;
    let folder = tempfile::tempdir()?;
    let pinned = PINNED.iter().map(|(name, version, _)| format!("{name}={version}"));
    let words: Vec<String> = pinned.chain(LIBRARIES.split_whitespace().map(str::to_owned)).collect();
    let download = || {
        let mut apt = Command::new("apt-get");
        apt.args(["--quiet=2", "--option", "APT::Sandbox::User=root", "download"]);
        shell::run(apt.args(&words).current_dir(folder.path()))
    };
    if download().is_err() {
        show::note("apt does not know all of that; its lists may be old");
        shell::run(Command::new("apt-get").args(["--quiet=2", "update"]))?;
        download().map_err(|error| {
            format!(
                "{error}: releases are built with packages of Debian 12 and its security updates; where one was \
                 replaced, PINNED in xtask/src/dist/toolchain.rs needs the new version, and another NAME"
            )
        })?;
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = name.split('_').next().unwrap_or_default().to_owned();
        if let Some((_, version, hash)) = PINNED.iter().find(|(pinned, ..)| *pinned == name) {
            let is = Digest::of(&fs::read(&path)?).hex();
            if is != *hash {
                return Err(format!("{name} {version} has the SHA-256 {is}, not {hash}").into());
            }
            found.push(name);
        }
        shell::run(Command::new("dpkg").arg("-x").arg(&path).arg(root))?;
    }
    match PINNED.iter().find(|(name, ..)| !found.iter().any(|found| found == name)) {
        Some((name, ..)) => Err(format!("apt did not download {name}").into()),
        None => Ok(()),
    }
}
