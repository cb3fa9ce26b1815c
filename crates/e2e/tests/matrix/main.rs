//! Every kind of store as the source and every kind as the target: an image goes over, then its update. One
//! program, so that every engine is started once.
//!
//! The gate has no time for most pairs: `cargo xtask test --all-engines` runs them all.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod cell;
mod fixed;
mod patch;
mod stations;

use cell::{goes_over, goes_over_as};

/// A test for each target, from one source.
macro_rules! from {
    ($source:literal: $(#[$ignored:meta] $test:ident $target:literal)*) => {
        $(
            #[test]
            #[$ignored]
            fn $test() {
                crate::goes_over($source, $target);
            }
        )*
    };
}

/// The pairs of a source that every run has.
macro_rules! of_every_run {
    ($source:literal) => {
        from! { $source:
            #[ignore = "needs engines: cargo xtask test"]
            to_docker_20 "docker"
            #[ignore = "needs engines: cargo xtask test"]
            to_docker_28_containerd "docker-28-containerd"
            #[ignore = "needs engines: cargo xtask test"]
            to_podman_4 "podman"
            #[ignore = "needs engines: cargo xtask test"]
            to_a_layout "oci"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_docker_26_classic "docker-26-classic"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_docker_26_containerd "docker-26-containerd"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_podman_5_4 "podman-5.4"
        }
    };
}

/// The pairs of a source that only a run of all engines has.
macro_rules! of_all_engines {
    ($source:literal) => {
        from! { $source:
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_docker_20 "docker"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_docker_28_containerd "docker-28-containerd"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_podman_4 "podman"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_a_layout "oci"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_docker_26_classic "docker-26-classic"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_docker_26_containerd "docker-26-containerd"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_podman_5_4 "podman-5.4"
        }
    };
}

mod from_docker_20 {
    of_every_run!("docker");
}

mod from_docker_28_containerd {
    of_every_run!("docker-28-containerd");
}

mod from_podman_4 {
    of_every_run!("podman");
}

mod from_a_layout {
    of_every_run!("oci");
}

/// containerd without Docker, with a store of each kind on the other side.
mod containerd {
    from! { "containerd-1.6":
        #[ignore = "needs engines: cargo xtask test"]
        to_itself "containerd-1.6"
        #[ignore = "needs engines: cargo xtask test"]
        to_docker_20 "docker"
        #[ignore = "needs engines: cargo xtask test"]
        to_docker_28_containerd "docker-28-containerd"
        #[ignore = "one of all pairs: cargo xtask test --all-engines"]
        to_podman_4 "podman"
        #[ignore = "one of all pairs: cargo xtask test --all-engines"]
        to_a_layout "oci"
        #[ignore = "one of all pairs: cargo xtask test --all-engines"]
        to_containerd_1_7 "containerd-1.7"
        #[ignore = "one of all pairs: cargo xtask test --all-engines"]
        to_containerd_2_1 "containerd-2.1"
    }
    mod from_docker_20 {
        from! { "docker":
            #[ignore = "needs engines: cargo xtask test"]
            to_containerd_1_6 "containerd-1.6"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_containerd_2_1 "containerd-2.1"
        }
    }
    mod from_docker_28_containerd {
        from! { "docker-28-containerd":
            #[ignore = "needs engines: cargo xtask test"]
            to_containerd_1_6 "containerd-1.6"
        }
    }
    mod from_podman_4 {
        from! { "podman":
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_containerd_1_6 "containerd-1.6"
        }
    }
    mod from_a_layout {
        from! { "oci":
            #[ignore = "needs engines: cargo xtask test"]
            to_containerd_1_6 "containerd-1.6"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_containerd_1_7 "containerd-1.7"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_containerd_2_1 "containerd-2.1"
        }
    }
    mod from_containerd_2_1 {
        from! { "containerd-2.1":
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_containerd_1_6 "containerd-1.6"
            #[ignore = "one of all pairs: cargo xtask test --all-engines"]
            to_docker_28_containerd "docker-28-containerd"
        }
    }
}

/// Layers in zstd, as BuildKit, podman and skopeo compress them when asked to.
mod with_zstd {
    use dsync_e2e::Form::Zstd;
    use dsync_lab::packages;

    fn goes_over(source: &'static str, target: &'static str) {
        packages::require(&[("skopeo", "skopeo"), ("zstd", "zstd")]).unwrap();
        super::goes_over_as(source, target, Zstd);
    }

    #[test]
    #[ignore = "needs engines: cargo xtask test"]
    fn from_docker_28_containerd_to_docker_28_containerd() {
        goes_over("docker-28-containerd", "docker-28-containerd");
    }

    #[test]
    #[ignore = "needs engines: cargo xtask test"]
    fn from_a_layout_to_docker_28_containerd() {
        goes_over("oci", "docker-28-containerd");
    }

    #[test]
    #[ignore = "needs engines: cargo xtask test"]
    fn from_docker_28_containerd_to_podman_4() {
        goes_over("docker-28-containerd", "podman");
    }
}

mod from_docker_26_classic {
    of_all_engines!("docker-26-classic");
}

mod from_docker_26_containerd {
    of_all_engines!("docker-26-containerd");
}

mod from_podman_5_4 {
    of_all_engines!("podman-5.4");
}
