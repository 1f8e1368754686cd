//! The patches that there are, by name. A test compares this list with the folder.

/// Puts each patch into the program: `raftlab bugs` needs no folder.
macro_rules! patches {
    ($($name:ident)*) => {
        /// Each patch's name, and the text of its file.
        pub const PATCHES: &[(&str, &str)] =
            &[$((stringify!($name), include_str!(concat!("../", stringify!($name), ".patch")))),*];
    };
}

patches! {}
