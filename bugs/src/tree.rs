//! A copy of the sources into which the patches go. cargo rebuilds only what a patch has changed.

use gallery::patch::{Host, Patch};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// `target/gallery`: the copy, its builds, and the output of the programs with bugs. Nothing outside is changed.
pub struct Tree {
    folder: PathBuf,
    /// While this file is locked, no other process works here.
    lock: File,
}

impl Drop for Tree {
    /// Closing the file isn't enough: a process that another thread is just starting may still have it open.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Tree {
    /// Brings the copy in `folder` up to date with the sources in `repo`, as they are now.
    ///
    /// # Errors
    /// Another process works in the folder, `repo` is not a git repository, or files can't be copied.
    pub fn prepare(repo: &Path, folder: &Path) -> Result<Tree, String> {
        fs::create_dir_all(folder.join("tree")).map_err(failed("make a folder", folder))?;
        let folder = folder.canonicalize().map_err(failed("find", folder))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(failed("write", &path))?;
        lock.try_lock()
            .map_err(|_| format!("another process is working in {}", folder.display()))?;
        let tree = Tree { folder, lock };
        tree.copy(repo)?;
        Ok(tree)
    }

    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn sources(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// Copies all files that git knows, and new files that are not ignored. A file with the same content is not written again,
    /// so that cargo doesn't rebuild it. A file that an earlier run left patched is written.
    fn copy(&self, repo: &Path) -> Result<(), String> {
        let mut git = Command::new("git");
        git.current_dir(repo).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let listed = String::from_utf8(output(&mut git)?.stdout).map_err(|e| e.to_string())?;
        let there = |name: &&str| !name.is_empty() && repo.join(name).is_file();
        let names: BTreeSet<&Path> = listed.split('\0').filter(there).map(Path::new).collect();
        for name in &names {
            let (from, to) = (repo.join(name), self.sources().join(name));
            let source = fs::read(&from).map_err(failed("read", &from))?;
            if fs::read(&to).ok().as_ref() != Some(&source) {
                let folder = to.parent().unwrap_or(&to);
                fs::create_dir_all(folder).map_err(failed("make a folder", folder))?;
                fs::write(&to, source).map_err(failed("write", &to))?;
            }
        }
        self.forget_all_but(&names, &self.sources())
    }

    /// Removes files that are no longer sources, because they must not be compiled.
    fn forget_all_but(&self, names: &BTreeSet<&Path>, folder: &Path) -> Result<(), String> {
        for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
            let path = entry.map_err(failed("read", folder))?.path();
            if path.is_dir() {
                self.forget_all_but(names, &path)?;
            } else if path.strip_prefix(self.sources()).is_ok_and(|name| !names.contains(name)) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Whether the patch fits the sources.
    ///
    /// # Errors
    /// It doesn't fit; the text is git's.
    pub fn check(&self, patch: &Patch) -> Result<(), String> {
        self.git_apply(&["--check"], patch)
    }

    /// Calls `look` with the program of the patch's host that has this bug.
    ///
    /// # Errors
    /// The patch doesn't fit, the program doesn't build, or `look` returns an error.
    pub fn with_bug<T>(
        &self,
        patch: &Patch,
        look: impl FnOnce(&Path) -> Result<T, String>,
    ) -> Result<T, String> {
        self.git_apply(&[], patch)?;
        let seen = self.build(patch.header.host).and_then(|program| look(&program));
        self.git_apply(&["--reverse"], patch)?;
        seen
    }

    fn git_apply(&self, flags: &[&str], patch: &Patch) -> Result<(), String> {
        let mut git = Command::new("git");
        // The copy may be inside a repository. git must not find that repository, because it would take the paths as relative
        // to it, and skip them.
        git.current_dir(self.sources()).env("GIT_CEILING_DIRECTORIES", &self.folder);
        git.env_remove("GIT_DIR").args(["apply", "--whitespace=nowarn"]).args(flags);
        git.arg(format!("bugs/{}.patch", patch.name));
        output(&mut git).map(|_| ()).map_err(|error| format!("{}.patch: {error}", patch.name))
    }

    /// Builds a host's program from the sources in the copy. It is optimised, so that the suites have to catch the bug, and not
    /// the reference's own debug assertions.
    ///
    /// # Errors
    /// It doesn't build; the text is cargo's.
    pub fn build(&self, host: Host) -> Result<PathBuf, String> {
        let (what, program): (&[&str], _) = match host {
            Host::Reference => (&["--bin", "raftlab"], "raftlab"),
            Host::GoShape => (&["-p", "labtests", "--example", "go_shape"], "examples/go_shape"),
            Host::GoKv => (&["-p", "labtests", "--example", "go_kv"], "examples/go_kv"),
        };
        let target = self.folder.join("build");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.current_dir(self.sources()).env("CARGO_TARGET_DIR", &target);
        cargo.env("CARGO_INCREMENTAL", "1"); // a second for each bug, not ten
        cargo.args(["build", "--release", "--locked", "--quiet"]).args(what);
        output(&mut cargo)?;
        Ok(target.join("release").join(program))
    }
}

/// The output of a command, if it succeeded.
fn output(command: &mut Command) -> Result<Output, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("can't run {name}: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_string());
    }
    Ok(output)
}

/// Turns an error into a message that names the action and the file.
pub fn failed(what: &str, path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("can't {what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;
    use tempfile::TempDir;

    /// A repository with a Raft of one file, and a patch for it. What cargo builds in it is ignored.
    fn repo() -> (TempDir, Patch) {
        let patch = "Bug: 1 bug\nGroup: Election\nKind: safety\nHost: reference\nWhat: a\nRule: b\n\
            Falls: c\nSchedule: d\n---\ndiff --git a/src/raft/a.rs b/src/raft/a.rs\n\
            --- a/src/raft/a.rs\n+++ b/src/raft/a.rs\n@@ -1 +1 @@\n-right\n+wrong\n";
        let repo = TempDir::new().unwrap();
        for (name, text) in [
            ("src/raft/a.rs", "right\n"),
            ("src/b.rs", "b\n"),
            ("bugs/bug.patch", patch),
            (".gitignore", "/target\n"),
        ] {
            fs::create_dir_all(repo.path().join(name).parent().unwrap()).unwrap();
            fs::write(repo.path().join(name), text).unwrap();
        }
        output(Command::new("git").args(["init", "--quiet"]).current_dir(&repo)).unwrap();
        (repo, Patch::parse("bug", patch).unwrap())
    }

    fn prepare(repo: &TempDir) -> Result<Tree, String> {
        Tree::prepare(repo.path(), &repo.path().join("target/gallery"))
    }

    /// The content of a file in the copy, and when it was written.
    fn look(repo: &TempDir, name: &str) -> Option<(String, SystemTime)> {
        let path = repo.path().join("target/gallery/tree").join(name);
        Some((fs::read_to_string(&path).ok()?, fs::metadata(&path).ok()?.modified().ok()?))
    }

    #[test]
    fn a_patch_goes_into_the_copy_alone_and_out_again() {
        let (repo, patch) = repo();
        let text = |name| look(&repo, name).unwrap().0;
        let tree = prepare(&repo).unwrap();
        tree.check(&patch).unwrap();
        assert_eq!(text("src/raft/a.rs"), "right\n");
        tree.git_apply(&[], &patch).unwrap();
        assert_eq!(text("src/raft/a.rs"), "wrong\n");
        assert_eq!(fs::read_to_string(repo.path().join("src/raft/a.rs")).unwrap(), "right\n");
        assert!(tree.check(&patch).unwrap_err().contains("bug.patch"), "it is in already");
        tree.git_apply(&["--reverse"], &patch).unwrap();
        assert_eq!(text("src/raft/a.rs"), "right\n");
    }

    #[test]
    fn a_program_that_does_not_build_leaves_no_bug_behind() {
        let (repo, patch) = repo();
        let tree = prepare(&repo).unwrap();
        let error = tree.with_bug(&patch, |_| Ok(())).unwrap_err();
        assert!(error.contains("Cargo.toml"), "{error}");
        assert_eq!(look(&repo, "src/raft/a.rs").unwrap().0, "right\n");
    }

    #[test]
    fn only_what_changed_is_written_and_what_is_gone_is_removed() {
        let (repo, patch) = repo();
        let first = prepare(&repo).unwrap();
        let before = look(&repo, "src/b.rs");
        first.git_apply(&[], &patch).unwrap();
        drop(first); // as if the process had been stopped
        fs::remove_file(repo.path().join("bugs/bug.patch")).unwrap();
        prepare(&repo).unwrap();
        assert_eq!(look(&repo, "src/b.rs"), before);
        assert_eq!(look(&repo, "src/raft/a.rs").unwrap().0, "right\n");
        assert_eq!(look(&repo, "bugs/bug.patch"), None);
    }

    #[test]
    fn two_do_not_work_in_one_folder() {
        let (repo, _) = repo();
        let _first = prepare(&repo).unwrap();
        let error = prepare(&repo).map(|_| ()).unwrap_err();
        assert!(error.contains("another process"), "{error}");
    }
}
