// Work that no key waits for: it is done once before the next frame, however often it is asked for.

const due = new Set();

export function beforeFrame(work) {
  if (!due.size) {
    requestAnimationFrame(() => {
      const now = [...due];
      due.clear();
      for (const each of now) each();
    });
  }
  due.add(work);
}
