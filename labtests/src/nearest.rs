//! "Did you mean".

/// Finds the spelling that is nearest to `word` among these pairs of a spelling and its meaning, and returns its meaning.
/// `None` if too many typing errors would be needed. Case, `_` and `-` make no difference.
pub fn nearest<'a>(
    word: &str,
    spellings: impl IntoIterator<Item = (String, &'a str)>,
) -> Option<&'a str> {
    let word = plain(word);
    let slips = |spelling: &str| strsim::osa_distance(&word, spelling);
    let near = spellings.into_iter().filter_map(|(spelling, meant)| {
        let spelling = plain(&spelling);
        let slips = slips(&spelling);
        let letters = word.chars().count().max(spelling.chars().count());
        (slips <= letters / LETTERS_PER_SLIP).then_some((slips, meant))
    });
    near.min_by_key(|(slips, _)| *slips).map(|(_, meant)| meant)
}

/// A word with more typing errors than one in this many letters counts as a different word.
const LETTERS_PER_SLIP: usize = 4;

fn plain(text: &str) -> String {
    text.to_lowercase().replace(['_', '-'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_few_slips_is_meant() {
        let names = ["replay", "rejoin", "figure_8"].map(|name| (name.to_string(), name));
        let nearest = |word| nearest(word, names.clone());
        assert_eq!(nearest("reply"), Some("replay"));
        assert_eq!(nearest("Rejion"), Some("rejoin"));
        assert_eq!(nearest("figure-8"), Some("figure_8"));
        assert_eq!(nearest("relay"), Some("replay"));
        assert_eq!(nearest("remain"), None);
        assert_eq!(nearest(""), None);
    }
}
