//! A file that is there as a whole, or as it was before: at no moment half of it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Where such a file goes. Nothing is there yet that was not before.
pub struct WholeFile(PathBuf);

impl WholeFile {
    /// Prepares to write `path`, so that a path that can't be written is known before there is something to write.
    ///
    /// # Errors
    /// The folder isn't there or can't be written; or there is something that is no file, or may not be written.
    pub fn prepare(path: &Path) -> Result<WholeFile, String> {
        WholeFile::check(path).map_err(|error| unwritable(path, &error))
    }

    fn check(path: &Path) -> io::Result<WholeFile> {
        let path = if path.exists() { path.canonicalize()? } else { path.to_path_buf() };
        if path.exists() {
            if !path.is_file() {
                return Err(io::Error::other("it is there and is no regular file"));
            }
            OpenOptions::new().write(true).open(&path)?;
        } else if !folder_of(&path).is_dir() {
            let text = format!("there is no folder {}", folder_of(&path).display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        NamedTempFile::new_in(folder_of(&path))?;
        Ok(WholeFile(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A nameless file, to write what will be there. If the program is stopped, it is gone.
    ///
    /// # Errors
    /// The folder went away.
    pub fn draft(&self) -> Result<File, String> {
        tempfile::tempfile_in(folder_of(&self.0)).map_err(|error| unwritable(&self.0, &error))
    }

    /// Writes it, in one step.
    ///
    /// # Errors
    /// The disk is full, or the folder went away.
    pub fn write(&self, content: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), String> {
        self.replace(content).map_err(|error| unwritable(&self.0, &error))
    }

    fn replace(&self, content: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(folder_of(&self.0))?;
        content(file.as_file_mut())?;
        let mode = fs::metadata(&self.0).map(|before| before.permissions());
        file.as_file().set_permissions(mode.or_else(|_| usual_permissions(&file))?)?;
        file.persist(&self.0)?;
        Ok(())
    }
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    format!("can't write {}: {error}", path.display())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What a new file gets that isn't a temporary one.
fn usual_permissions(file: &NamedTempFile) -> io::Result<fs::Permissions> {
    let permissions = file.as_file().metadata()?.permissions();
    #[cfg(unix)]
    let permissions = {
        use std::os::unix::fs::PermissionsExt;
        let _ = permissions;
        fs::Permissions::from_mode(0o644)
    };
    Ok(permissions)
}
