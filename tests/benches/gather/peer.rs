//! The C side: it is compiled here, and measures a case whenever it is asked.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The running C program.
pub struct Peer {
    pub compiler: String,
    pub program: PathBuf,
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Compiles the C program and starts it.
    ///
    /// # Errors
    ///
    /// Returns the reason why it cannot.
    pub fn start() -> Result<Self, String> {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gather-in-c");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/gather/peer.c");
        let wanted = std::env::var("CC").ok();
        let compilers = ["cc", "gcc", "clang"].map(String::from);
        let compiler = wanted.into_iter().chain(compilers).find(|compiler| {
            let mut command = Command::new(compiler);
            command
                .args(["-O2", "-pthread", "-o"])
                .arg(&program)
                .arg(&source);
            command.status().is_ok_and(|status| status.success())
        });
        let compiler = compiler.ok_or("none of $CC, cc, gcc and clang compiles it")?;
        let mut command = Command::new(&program);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let answers = child.stdout.take().ok_or("no pipe")?;
        Ok(Self {
            compiler,
            program,
            requests: child.stdin.take(),
            child,
            answers: BufReader::new(answers),
        })
    }

    /// Returns the nanoseconds of each of some rounds.
    pub fn time(&mut self, request: &str, rounds: usize) -> Vec<f64> {
        let mut line = String::new();
        let requests = self.requests.as_mut().expect("it runs");
        writeln!(requests, "time {request} {rounds}").expect("it reads requests");
        self.answers.read_line(&mut line).expect("it answers");
        let times = line.split_whitespace();
        times.map(|time| time.parse().expect("a time")).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.requests.take()); // it ends with its input
        let _ = self.child.wait();
    }
}
