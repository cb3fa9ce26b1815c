//! A run of the program, from the outside: started, watched, ended.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Bench, Ran, leftovers};

/// A run that has not ended, or of which nobody has taken notice.
pub struct Running<'a> {
    /// The process.
    pub child: Child,
    bench: &'a Bench,
    label: String,
    files: BTreeSet<PathBuf>,
    started: Instant,
    output: Option<[thread::JoinHandle<String>; 2]>,
}

impl<'a> Running<'a> {
    /// Starts a command; its connections are counted under this label.
    pub(crate) fn start(bench: &'a Bench, mut command: Command, label: String) -> Running<'a> {
        let files = leftovers::files(bench);
        // A test that is about further tries asks for them.
        command.env("DOCKER_SYNC_RETRIES", "0");
        command.env("WIRE_LABEL", &label).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let output = Some([collect(out), collect(err)]);
        Running { child, bench, label, files, started: Instant::now(), output }
    }

    /// True once a connection has begun. The bytes up to now are not known.
    pub fn is_connected(&self) -> bool {
        let log = std::fs::read_to_string(self.bench.lab().wire_log()).unwrap();
        log.contains(&format!("\"{}\"", self.label))
    }

    /// Waits for the end, and looks at what is left behind.
    #[track_caller]
    pub fn finish(mut self) -> Ran {
        let (bench, files) = (self.bench, std::mem::take(&mut self.files));
        let ran = self.finish_untidily();
        bench.assert_no_more_than(&files);
        let partial = leftovers::partial(bench);
        assert!(
            ran.exit != Some(0) || partial.is_empty(),
            "all has arrived, and there is {partial:?}\n{ran}"
        );
        ran
    }

    /// Waits for the end, and does not mind what is left behind.
    pub fn finish_untidily(mut self) -> Ran {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let patience = self.bench.patience();
            if self.started.elapsed() > patience {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                let [out, err] = self.output();
                panic!("it did not end within {patience:?}\n{out}\n{err}");
            }
            thread::sleep(Duration::from_millis(3));
        };
        let took = self.started.elapsed();
        let [out, err] = self.output();
        let wire = self.bench.lab().wire(&self.label).unwrap();
        let ran = Ran { out, err, exit: status.code(), took, wire };
        eprintln!("{} ({}): {}", self.label, bytes_of(&ran), thread::current().name().unwrap_or("?"));
        ran
    }

    fn output(&mut self) -> [String; 2] {
        self.output.take().expect("a run ends once").map(|reader| reader.join().unwrap())
    }
}

/// A run that a test forgot, or left by a panic, goes on for nobody.
impl Drop for Running<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may have ended in between.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).expect("the program says nothing but UTF-8")
    })
}

fn bytes_of(ran: &Ran) -> String {
    let wire = &ran.wire;
    format!("{} connections, {} up, {} down, {:.2?}", wire.connections, wire.up, wire.down, ran.took)
}
