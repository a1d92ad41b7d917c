//! Many that do the same at once.

use tokio::task::JoinSet;

use crate::failure::Failure;

/// Lets all do a step at once, and waits for all of them; the first failure ends it. They come
/// back in the order in which they were done.
pub(super) async fn all<T, F>(them: Vec<T>, step: F) -> Result<Vec<T>, Failure>
where
    T: 'static,
    F: AsyncFn(&mut T) -> Result<(), Failure> + Copy + 'static,
{
    all_seen(them, step, || {}).await
}

/// The same, and tells of each that is done.
pub(super) async fn all_seen<T, F>(
    them: Vec<T>,
    step: F,
    mut is_done: impl FnMut(),
) -> Result<Vec<T>, Failure>
where
    T: 'static,
    F: AsyncFn(&mut T) -> Result<(), Failure> + Copy + 'static,
{
    let mut steps = JoinSet::new();
    for mut it in them {
        steps.spawn_local(async move { step(&mut it).await.map(|()| it) });
    }
    let mut done = Vec::with_capacity(steps.len());
    while let Some(it) = steps.join_next().await {
        done.push(it.map_err(|error| Failure::new(error.to_string()))??);
        is_done();
    }
    Ok(done)
}
