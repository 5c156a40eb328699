//! What a misspelt word was likely meant to be.

/// No word of the language, and no name worth guessing, is longer; noise can be.
const LONGEST: usize = 40;

/// The known word nearest to a name, if it is near enough to be a slip of the hand: of three letters
/// one may be wrong, missing, too many, or have changed places with its neighbour.
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
