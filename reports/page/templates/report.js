// The provenance table can be searched; without this script everything is still there to read.
const section = document.getElementById("provenance");
const filter = section.querySelector(".filter");
filter.hidden = false;
filter.querySelector("input").addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const group of section.querySelectorAll("details")) {
    const name = group.querySelector("summary").textContent.toLowerCase();
    let shown = 0;
    for (const row of group.querySelectorAll("tbody tr")) {
      row.hidden = !(name + " " + row.textContent.toLowerCase()).includes(wanted);
      shown += !row.hidden;
    }
    group.hidden = shown === 0;
    group.open = wanted !== "" && shown > 0;
  }
});
