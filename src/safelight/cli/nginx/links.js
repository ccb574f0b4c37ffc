// Checks a download link in nginx, as safelight.domain.signing does in Python, and reads what is noted of its file.
//
// Whatever is not plainly a good link to a whole file that is kept here, asked for in a way that nginx answers as the API does,
// is left to the API, whose answer is the true one: '' comes back. `safelight_links` is links.json, which nginx reads as it
// starts and at each reload: the media folder, and the secrets of the signing keys in hex.
import crypto from 'crypto';
import fs from 'fs';

const PATH_AT = 92; // behind size (15), deletion (10) and SHA-256 (64), each with a blank

// The seconds that the file has left, whether one range of it is asked for, and its note.
function note(r) {
    try {
        return noted(r, r.variables);
    } catch (error) { // there is no note, or no file
        return '';
    }
}

function noted(r, variables) {
    const now = Math.floor(Date.now() / 1000);
    let exp = variables.safelight_exp, sig = variables.safelight_sig;
    if (!exp) {
        const signed = among(variables.safelight_query);
        if (signed === null) {
            return '';
        }
        exp = signed[0];
        sig = signed[1];
    }
    if ((r.method !== 'GET' && r.method !== 'HEAD') || now >= Number(exp) || !isMade(variables.safelight_text + exp, sig)) {
        return '';
    }
    const text = fs.readFileSync(variables.safelight_note_path, 'utf8');
    const size = Number(text.slice(0, 15)), seconds = Number(text.slice(16, 26)) - now;
    const facts = fs.lstatSync(safelight_links.media + '/.links/of/' + text.slice(PATH_AT, -1));
    if (!(seconds > 0) || facts.size !== size || !size || !facts.isFile()) {
        return '';
    }
    const asked = rangeAsked(r, r.headersIn, size, text);
    return asked === null ? '' : seconds + ' ' + asked + ' ' + text;
}

// `exp` and `sig` where others stand beside them, which are not signed. A name written with an escape may be one of the two,
// and one of them twice is none: the API decides.
function among(query) {
    const pairs = query.split('&');
    const given = { exp: null, sig: null };
    for (let i = 0; i < pairs.length; i++) {
        const at = pairs[i].indexOf('=');
        const name = at < 0 ? pairs[i] : pairs[i].slice(0, at);
        if (name.indexOf('%') >= 0 || name.indexOf('+') >= 0) {
            return null;
        }
        if (name === 'exp' || name === 'sig') {
            if (given[name] !== null || at < 0) {
                return null;
            }
            given[name] = pairs[i].slice(at + 1);
        }
    }
    const isWritten = given.exp !== null && given.sig !== null
        && /^[1-9][0-9]{9}$/.test(given.exp) && /^[0-9a-f]{64}$/.test(given.sig);
    return isWritten ? [given.exp, given.sig] : null;
}

// Whether any key made the signature. All are tried and all bytes compared, so the time taken tells nothing.
function isMade(text, sig) {
    const given = Buffer.from(sig, 'hex');
    const keys = safelight_links.keys, count = keys.length;
    let made = false;
    for (let i = 0; i < count; i++) {
        const mac = crypto.createHmac('sha256', Buffer.from(keys[i], 'hex')).update(text).digest();
        let difference = 0;
        for (let at = 0; at < 32; at += 4) {
            difference |= mac.readInt32LE(at) ^ given.readInt32LE(at);
        }
        made = difference === 0 || made;
    }
    return made;
}

// 'whole', or 'range' for one that is in the file; null for what only the API answers: conditions, several ranges, ranges of
// nothing, and what is written otherwise or twice.
function rangeAsked(r, given, size, text) {
    if (given['If-Match'] !== undefined || given['If-None-Match'] !== undefined || given['If-Unmodified-Since'] !== undefined) {
        return null;
    }
    const range = given['Range'], condition = given['If-Range'];
    if (range === undefined) {
        return condition === undefined ? 'whole' : null;
    }
    const written = /^bytes=(?:([0-9]{1,15})-([0-9]{0,15})|-([0-9]{1,15}))$/.exec(range);
    if (written === null || r.method !== 'GET' || (condition !== undefined && condition !== '"' + text.slice(27, 91) + '"')) {
        return null;
    }
    const raw = r.rawHeadersIn, count = raw.length;
    let ranges = 0;
    for (let i = 0; i < count; i++) {
        const name = raw[i][0].toLowerCase();
        ranges += name === 'range' || name === 'if-range' ? 1 : 0;
    }
    if (ranges !== (condition === undefined ? 1 : 2)) {
        return null;
    }
    if (written[3] !== undefined) {
        return Number(written[3]) > 0 ? 'range' : null;
    }
    const start = Number(written[1]);
    return start < size && (written[2] === '' || Number(written[2]) >= start) ? 'range' : null;
}

export default { note };
