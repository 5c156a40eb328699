//! Suggestions for misspelt words.

/// The longest name, in bytes, for which a suggestion is searched. Keywords and sensible names are shorter.
const LONGEST: usize = 40;

/// Returns the known word nearest to a name, if it is near enough to be a typing error: for every three
/// letters one may be wrong, missing, superfluous or swapped with its neighbour.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = name.chars().count() / 3;
    if name.len() > LONGEST {
        return None;
    }
    known
        .into_iter()
        .map(|word| (strsim::osa_distance(name, word), word))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
