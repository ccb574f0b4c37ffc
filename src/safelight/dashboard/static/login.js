// The link of `safelight up` brings a code behind "#", where no log sees it. It works once.
const code = location.hash.slice(1);
if (code) {
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("secret").value = code;
  document.getElementById("sign-in").requestSubmit();
}
