//! A file that is written as a whole: at every moment there is either the complete new content or the old content.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

/// The path of such a file. Creating this value writes nothing.
pub struct WholeFile(PathBuf);

impl WholeFile {
    /// Prepares to write `path`, so that an unwritable path is reported before there is something to write.
    ///
    /// # Errors
    /// The folder doesn't exist or can't be written; or the path exists and is not a file, or may not be written.
    pub fn prepare(path: &Path) -> Result<WholeFile, String> {
        WholeFile::check(path).map_err(|error| unwritable(path, &error))
    }

    fn check(path: &Path) -> io::Result<WholeFile> {
        let path = if path.exists() { path.canonicalize()? } else { path.to_path_buf() };
        if path.exists() {
            if !path.is_file() {
                return Err(io::Error::other("it exists and is not a regular file"));
            }
            OpenOptions::new().write(true).open(&path)?;
        } else if !folder_of(&path).is_dir() {
            let text = format!("there is no folder {}", folder_of(&path).display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        temporary(&path)?;
        Ok(WholeFile(path))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file without a name, for the content while it grows. It is gone if the program is stopped.
    ///
    /// # Errors
    /// The folder went away.
    pub fn draft(&self) -> Result<File, String> {
        tempfile::tempfile_in(folder_of(&self.0)).map_err(|error| unwritable(&self.0, &error))
    }

    /// Writes the file in one step.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn write(&self, content: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), String> {
        self.replace(content).map_err(|error| unwritable(&self.0, &error))
    }

    fn replace(&self, content: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let mut file = temporary(&self.0)?;
        content(file.as_file_mut())?;
        if let Ok(before) = fs::metadata(&self.0) {
            file.as_file().set_permissions(before.permissions())?;
        }
        file.persist(&self.0)?;
        Ok(())
    }
}

/// A temporary file in the folder of `path`. Errors don't mention its name, because that name means nothing to the user.
fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    Builder::new().make_in(folder_of(path), |path| File::create_new(path))
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    format!("can't write {}: {error}", path.display())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A missing folder takes the place of a folder that can't be written, because the user who runs the test may be allowed to
    /// write everywhere.
    #[test]
    fn errors_name_the_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        let file = WholeFile::prepare(&path).unwrap();
        fs::remove_dir(folder.path()).unwrap();
        let written = file.write(|_| Ok(())).unwrap_err();
        let drafted = file.draft().unwrap_err();
        for error in [written, drafted] {
            let reason = error.strip_prefix(&format!("can't write {}: ", path.display()));
            assert!(!reason.unwrap_or_else(|| panic!("{error}")).contains("tmp"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_may_be_read_as_others_and_an_old_one_as_before() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ours");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        let write = || WholeFile::prepare(&path).unwrap().write(|_| Ok(())).unwrap();
        write();
        let other = folder.path().join("other");
        File::create(&other).unwrap();
        assert_eq!(mode(&path), mode(&other));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write();
        assert_eq!(mode(&path) & 0o777, 0o640);
    }
}
