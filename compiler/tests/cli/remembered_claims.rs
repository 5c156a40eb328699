//! What `tlbc prove` remembers of the solver's answers. The solver of these tests is a script that agrees with every claim.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use tlbc::codes::TOY;

use crate::support::{Run, command};

/// Notes its starts; of two questions about a claim it answers that what is given can be, and that nothing refutes the claim.
const SOLVER: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then cat version; exit; fi
echo >> starts
answer=sat
while read -r line; do
    case $line in
        "(check-sat)")
            echo $answer
            [ $answer = sat ] && answer=unsat || answer=sat ;;
        *) echo success ;;
    esac
done
"#;

/// A directory with a definition and a solver.
struct Project(TempDir);

impl Project {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let solver = directory.path().join("z3");
        fs::write(&solver, SOLVER).expect("a file");
        fs::set_permissions(&solver, PermissionsExt::from_mode(0o755)).expect("it can be run");
        let project = Self(directory);
        project.write("version", "1");
        project.write("toy.arch", TOY);
        project
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("a file");
    }

    /// Proves the definition. Returns how often the solver was started since, and what the last row says of earlier runs.
    fn prove(&self, cache: &Path) -> (usize, bool) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::env::split_paths(&path);
        let paths = std::iter::once(self.0.path().to_owned()).chain(paths);
        let mut command = command(self.0.path(), &["prove", "toy.arch"]);
        command.env("PATH", std::env::join_paths(paths).expect("paths"));
        let run = Run::from(command.env("TLBC_CACHE", cache).output().expect("it runs"));
        run.is_sound();
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let starts = self.0.path().join("starts");
        let count = fs::read_to_string(&starts).map_or(0, |text| text.lines().count());
        let _ = fs::remove_file(starts);
        let last = run.stdout.lines().last().expect("a row");
        (count, last.ends_with(" by an earlier run"))
    }
}

const ASKED: (usize, bool) = (1, false);
const REMEMBERED: (usize, bool) = (0, true);

#[test]
fn the_solver_is_asked_until_it_has_proved_the_same_claims() {
    let (project, cache) = (Project::new(), TempDir::new().expect("a directory"));
    let prove = || project.prove(cache.path());
    assert_eq!(prove(), ASKED);
    assert_eq!(prove(), REMEMBERED);

    project.write("toy.arch", &format!("// A comment.\n{TOY}"));
    assert_eq!(prove(), REMEMBERED, "no claim has changed");

    let changed = TOY.replace("[63:56] tag; [55:50] 0;", "[63:56] tag; [55:50] 1;");
    assert_ne!(changed, TOY);
    project.write("toy.arch", &changed);
    assert_eq!(prove(), ASKED);
    assert_eq!(prove(), REMEMBERED);

    project.write("version", "2");
    assert_eq!(prove(), ASKED, "another solver may answer otherwise");
    assert_eq!(prove(), REMEMBERED);
}

#[test]
fn nothing_is_remembered_without_a_directory() {
    let project = Project::new();
    for _ in 0..2 {
        assert_eq!(project.prove(Path::new("")), ASKED);
    }
}
