//! Runs the conformance suite against stores of this host, each named as for `--docker`, and removes
//! nothing: `cargo run -p dsync-engine --features conformance --example conformance -- podman oci:/tmp/x`.

use dsync_engine::{conformance::conformance, open};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for text in std::env::args().skip(1) {
        let store = open(&text.parse()?, &std::env::temp_dir())?;
        let start = std::time::Instant::now();
        let made = conformance(&*store);
        println!("{}: passed in {:.1?}, made {} images", store.describe().name, start.elapsed(), made.len());
        for id in made {
            println!("{id}");
        }
    }
    Ok(())
}
