// What the status page shows of a gateway, in a browser: `page.mjs ADMIN GATEWAY TOKEN [SCREENSHOT]`. Each line that is
// printed is something that is wrong with it.
import { chromium } from "playwright-core";

const [admin, gateway, token, screenshot] = process.argv.slice(2);
const wrong = (is, what) => { if (is) console.log(what); };

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
page.setDefaultTimeout(60_000);

const complaints = [];
const foreign = [];
let looks = 0;
page.on("console", (message) => { if (message.type() === "error") complaints.push(message.text()); });
page.on("pageerror", (error) => complaints.push(error.message));
page.on("request", (request) => { if (!request.url().startsWith(admin) && !request.url().startsWith("data:")) foreign.push(request.url()); });
page.on("request", (request) => { if (request.url() === `${admin}/status`) looks += 1; });

await page.goto(admin);
await page.waitForFunction(() => document.querySelector("[data-circuit]")?.dataset.circuit === "closed");
wrong((await page.title()) === "Portcullis", "the title does not say how it is");
for (const [id, text] of [["routes", "/"], ["listeners", "127.0.0.1"], ["figures", "In flight"]]) {
  wrong(!(await page.locator(`#${id}`).textContent()).includes(text), `${id} does not show ${text}`);
}

// A circuit that opens is shown by the second look at the latest; there is one each second.
await page.waitForResponse(`${admin}/status`);
for (let request = 0; request < 5; request += 1) await fetch(`${gateway}/`);
const before = looks;
await page.waitForFunction(() => document.querySelector("[data-circuit]").dataset.circuit === "open");
wrong(looks - before > 2, `it took ${looks - before} looks to show that the circuit is open`);
wrong(!(await page.locator("#upstreams").textContent()).includes("Circuit open"), "the word for it is not there");
await page.waitForFunction(() => document.querySelector("#refusals").textContent.includes("circuit_open"), undefined, { polling: 100 })
  .catch(() => console.log("refusals are not shown by their reasons"));
if (screenshot) await page.screenshot({ path: screenshot, fullPage: true });

// By keyboard alone, and by the name that a screen reader says.
await page.getByLabel("Token of admin.token").fill(token);
await page.getByRole("button", { name: "Close: a/one" }).focus();
await page.keyboard.press("Enter");
await page.waitForFunction(() => document.querySelector("[data-circuit]").dataset.circuit === "forced_closed");
wrong(!(await page.getByRole("status").textContent()).includes("applied"), "it does not say that it was done");

const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input")].filter((one) => !(one.textContent || one.ariaLabel || one.labels?.length)).length);
wrong(nameless > 0, `${nameless} controls have no name`);
wrong((await page.evaluate(() => document.querySelectorAll("h1").length)) !== 1, "there is not one heading of all");
const focused = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
wrong(focused === "none", "one does not see where the keyboard is");

// Text stands out from what is behind it, in light and in dark (WCAG 2.2, 1.4.3).
for (const colorScheme of ["light", "dark"]) {
  await page.emulateMedia({ colorScheme });
  const faint = await page.evaluate(() => {
    const luminance = (color) => {
      const [r, g, b] = color.match(/[\d.]+/g).map(Number).map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (one) => { for (; one; one = one.parentElement) { const color = getComputedStyle(one).backgroundColor; if (!/, 0\)$/.test(color)) return color; } return "rgb(255, 255, 255)"; };
    const texts = [...document.querySelectorAll("body *")].filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()) && one.checkVisibility() && !one.disabled && one.tagName !== "SCRIPT");
    return texts.filter((one) => { const [a, b] = [luminance(getComputedStyle(one).color), luminance(behind(one))].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05) < 4.5; }).map((one) => one.textContent);
  });
  wrong(faint.length > 0, `in ${colorScheme}, one cannot read ${faint}`);
}

await page.setViewportSize({ width: 360, height: 740 });
wrong(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), "a phone has to scroll sideways");

wrong(complaints.length > 0, complaints.join("\n"));
wrong(foreign.length > 0, `it asks elsewhere: ${foreign}`);

// What follows is refused, of which browsers complain by themselves.
await page.getByLabel("Token of admin.token").fill("another");
await page.getByRole("button", { name: "Automatic: a/one" }).click();
await page.waitForFunction(() => document.querySelector("#outcome").textContent.includes("refused"));
wrong((await page.locator("[data-circuit]").getAttribute("data-circuit")) !== "forced_closed", "any token will do");
await browser.close();
