// The page at `/`: mesh, members, volumes, lag, conflicts, events as they come. It needs nothing from elsewhere.

/// The page.
enum AdminPage {
  static let html = """
    <!doctype html>
    <html lang="en"><head><meta charset="utf-8"><title>Grapevine</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <style>\(style)</style></head><body>
    <header><h1><span class="mark"></span>Grapevine</h1><div id="who"></div><div id="state" class="pill">connecting</div>
    </header>
    <main>
    <section id="tiles"></section>
    <section class="card wide"><h2>Mesh</h2><svg id="mesh" viewBox="0 0 600 322" role="img"></svg>
    <p class="legend"><span><i class="ok"></i>connected</span> <span><i class="bad"></i>blocked by a drill</span>
    <span><i class="dim"></i>no connection</span></p>
    </section>
    <section class="card wide"><h2>Events</h2><ol id="events"><li class="quiet">Waiting for something to happen.</li></ol>
    </section>
    <section class="card full"><h2>Members</h2><div class="scroll"><table id="members"></table></div></section>
    <section class="card full"><h2>Volumes</h2><div class="scroll"><table id="volumes"></table></div></section>
    <section class="card full"><h2>Conflicts</h2><div class="scroll"><table id="conflicts"></table></div></section>
    <section class="card full" id="alarmcard" hidden><h2>Alarms</h2><ul id="alarms"></ul></section>
    </main><script>\(script)</script></body></html>
    """

  private static let style = """
    :root{--bg:#f6f5f9;--card:#fff;--ink:#231f2e;--soft:#6f6a7d;--line:#e5e2ec;--grape:#6b3fa0;--ok:#2b8a57;
    --warn:#b7791f;--bad:#c23b3b}
    @media(prefers-color-scheme:dark){:root{--bg:#16131c;--card:#211d2b;--ink:#ece9f3;--soft:#a099b3;--line:#342e42;
    --grape:#b493e0;--ok:#5fc48f;--warn:#e0b04f;--bad:#ef7d7d}}
    *{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);
    font:15px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif}
    header{display:flex;align-items:center;gap:16px;flex-wrap:wrap;padding:18px 28px 6px;max-width:1240px;margin:auto}
    h1{font-size:20px;margin:0;display:flex;align-items:center;gap:10px}
    .mark{width:16px;height:16px;border-radius:50%;background:var(--grape);box-shadow:9px 5px 0 -3px var(--grape),
    3px 10px 0 -4px var(--grape)}
    #who{color:var(--soft);flex:1}.pill{padding:3px 12px;border-radius:99px;font-weight:600;font-size:13px;
    background:var(--line)}.pill.ok{background:var(--ok);color:var(--card)}.pill.warn{background:var(--warn);
    color:var(--card)}.pill.bad{background:var(--bad);color:var(--card)}
    main{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:14px;padding:14px 28px 40px;max-width:1240px;
    margin:auto}
    #tiles{grid-column:1/-1;display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:14px}
    .tile,.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:14px 18px;min-width:0}
    .tile b{display:block;font-size:24px;font-weight:650;line-height:1.2}.tile span{color:var(--soft);font-size:13px}
    .full{grid-column:1/-1}h2{font-size:13px;margin:0 0 8px;color:var(--soft);font-weight:600;letter-spacing:.02em}
    .scroll{overflow-x:auto}table{width:100%;border-collapse:collapse;font-size:14px}
    th{color:var(--soft);font-weight:500;text-align:left}th,td{padding:6px 14px 6px 0;border-bottom:1px solid var(--line);
    white-space:nowrap}tr:last-child td{border-bottom:0}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
    td.n+td:not(.n),th.n+th:not(.n){padding-left:16px}td.path{white-space:normal;word-break:break-all}.quiet{color:var(--soft)}
    .dot{display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:7px;background:var(--soft)}
    .dot.alive{background:var(--ok)}.dot.suspect{background:var(--warn)}.dot.dead{background:var(--bad)}
    #events{list-style:none;margin:0;padding:0;height:322px;overflow:auto;font-size:13.5px}
    #events li{padding:4px 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
    #events time{color:var(--soft);margin-right:9px;font-variant-numeric:tabular-nums}
    #events b{margin-right:6px}.e-conflict b,.e-alarm b{color:var(--bad)}.e-member b{color:var(--grape)}
    .e-applied b{color:var(--ok)}.legend{margin:4px 0 0;color:var(--soft);font-size:13px}
    .legend i{display:inline-block;width:22px;border-top:3px solid;vertical-align:middle;margin:0 6px 0 14px}
    .legend i.ok{border-color:var(--ok)}.legend i.bad{border-color:var(--bad);border-top-style:dashed}
    .legend i.dim{border-color:var(--line)}svg{width:100%;height:auto;display:block}
    svg text{fill:var(--ink);font-size:14px;text-anchor:middle}svg .sub{fill:var(--soft);font-size:12px}
    svg .rtt{paint-order:stroke;stroke:var(--card);stroke-width:9px;stroke-linejoin:round}.legend span{white-space:nowrap}
    @media(max-width:800px){#events{height:auto;max-height:322px}
    main{grid-template-columns:minmax(0,1fr);padding:14px}header{padding:14px}}
    """

  private static let script = """
    const $=id=>document.getElementById(id),esc=t=>String(t).replace(/[&<>"]/g,c=>'&#'+c.charCodeAt(0)+';');
    const bytes=n=>{const u=['B','KB','MB','GB','TB'];let i=0;while(n>=1000&&i<4){n/=1000;i++}
    return (i&&n<100?n.toFixed(1):Math.round(n))+' '+u[i]};
    const ago=s=>s==null?'':s<60?Math.round(s)+' s':s<3600?Math.round(s/60)+' min':s<86400?Math.round(s/3600)+' h'
    :Math.round(s/86400)+' d';
    const get=p=>fetch(p).then(r=>{if(!r.ok)throw r.status;return r.json()});
    const table=(id,head,rows,none)=>{$(id).innerHTML=rows.length?'<thead><tr>'+head.map(h=>h[0]=='#'?
    `<th class=n>${h.slice(1)}</th>`:`<th>${h}</th>`).join('')+'</tr></thead><tbody>'+rows.map(r=>'<tr>'+r.map((c,i)=>
    `<td class="${head[i][0]=='#'?'n':head[i]=='Path'?'path':''}">${c}</td>`).join('')+'</tr>').join('')+'</tbody>'
    :`<tbody><tr><td class=quiet>${none}</td></tr></tbody>`};
    function mesh(ms){const n=ms.length,cx=300,cy=n==3?182:140,rx=n>1?205:0,ry=n>1?(n==3?118:98):0,self=ms.findIndex(m=>m.isSelf);
    const at=i=>{const a=(i-Math.max(self,0))/n*2*Math.PI-Math.PI/2;return[cx+rx*Math.cos(a),cy+ry*Math.sin(a)]};
    let lines='',nodes='';const s=at(Math.max(self,0));
    ms.forEach((m,i)=>{const[x,y]=at(i),c=m.status=='alive'?'ok':m.status=='suspect'?'warn':m.status=='dead'?'bad':'soft';
    if(!m.isSelf&&m.status!='left'){const k=m.isBlocked?'bad':m.isConnected?'ok':'line';
    lines+=`<line x1="${s[0]}" y1="${s[1]}" x2="${x}" y2="${y}" stroke="var(--${k})" stroke-width="2.5"
    ${m.isBlocked?'stroke-dasharray="7 6"':''}/>`;
    if(m.roundTripMilliseconds!=null)lines+=`<text class="sub rtt" x="${(s[0]+x)/2}" y="${(s[1]+y)/2+4}">
    ${m.roundTripMilliseconds.toFixed(1)} ms</text>`}
    nodes+=`<circle cx="${x}" cy="${y}" r="${m.isSelf?17:13}" fill="var(--card)" stroke="var(--${c})" stroke-width="4"/>
    ${m.isSelf?`<circle cx="${x}" cy="${y}" r="7" fill="var(--grape)"/>`:''}
    <text x="${x}" y="${y+36}">${esc(m.name)}</text><text class=sub x="${x}" y="${y+52}">${esc(m.region)}</text>`});
    $('mesh').innerHTML=lines+nodes}
    async function refresh(){try{const[s,ms,cs]=await Promise.all([get('v1/status'),get('v1/members'),get('v1/conflicts')]);
    document.title=s.node+' · Grapevine';$('who').innerHTML=`<b>${esc(s.node)}</b> in ${esc(s.region)}, mesh ${esc(s.mesh)},
    up ${ago(s.uptimeSeconds)}`;const bad=s.members.dead||s.members.suspect,st=$('state');
    st.className='pill '+(!s.isReady||s.alarms.length?'bad':s.isCaughtUp&&!bad&&!s.blocked.length?'ok':'warn');
    st.textContent=!s.isReady?'starting':s.alarms.length?'needs a person':s.blocked.length?'a drill is running'
    :s.isCaughtUp?(bad?'members missing':'all caught up')
    :'catching up';
    const v=s.volumes,sum=f=>v.reduce((a,x)=>a+f(x),0);
    $('tiles').innerHTML=[[s.members.alive+' / '+(s.members.alive+s.members.suspect+s.members.dead),'members alive'],
    [s.connected,'connected'],[sum(x=>x.entries).toLocaleString('en'),'entries'],[bytes(sum(x=>x.bytes)),'of content'],
    [sum(x=>x.peers.reduce((a,p)=>Math.max(a,p.behind),0)).toLocaleString('en'),'changes to send'],
    [cs.length,'conflicts']].map(t=>`<div class=tile><b>${t[0]}</b><span>${t[1]}</span></div>`).join('');mesh(ms);
    table('members',['Name','Region','Status','Connection','#Round trip','#Behind','#Ahead','#Last heard','Address'],
    ms.map(m=>{const l=f=>m.isSelf||!m.lag.length?'':m.lag.reduce((a,x)=>a+x[f],0).toLocaleString('en');
    return[`<span class="dot ${m.status}"></span>${esc(m.name)}${m.isSelf?' <span class=quiet>(this node)</span>':''}`,
    esc(m.region),m.status,m.isSelf?'':m.isBlocked?'blocked':m.isConnected?'yes':'no',m.roundTripMilliseconds==null?''
    :m.roundTripMilliseconds.toFixed(2)+' ms',l('behind'),l('ahead'),m.isSelf?'':ago(m.lastHeardSeconds),esc(m.gossip)]}),
    'Nobody else has been found yet.');
    table('volumes',['Name','Mounted at','#Entries','#Content','#Size','#Incoming','#Conflicts'],v.map(x=>[esc(x.name),
    x.mountedAt?esc(x.mountedAt):'<span class=quiet>not mounted</span>',x.entries.toLocaleString('en'),bytes(x.bytes),
    bytes(x.sizeBytes),x.incoming,x.conflicts]),'This node carries no volume.');
    table('conflicts',['Path','Kind','#Bytes','Lost: written by','At','Won','Id'],cs.map(c=>[esc(c.path),c.kind+
    (c.index==null?'':' '+c.index),c.bytes.toLocaleString('en'),esc(c.writtenBy),c.writtenAt.replace('T',' ').slice(0,19),
    esc(c.winner||'a removal'),'<code>'+esc(c.id)+'</code>']),'None. Nothing has lost to a concurrent winner.');
    $('alarmcard').hidden=!s.alarms.length;$('alarms').innerHTML=s.alarms.map(a=>`<li>${esc(a.what)} (${a.times} times)`)
    .join('')}catch(e){$('state').className='pill bad';$('state').textContent='no answer from the node'}}
    let due=null;const soon=()=>{if(!due)due=setTimeout(()=>{due=null;refresh()},250)};
    const tell={member:d=>`${d.name} (${d.region}) is ${d.status}`,applied:d=>`${d.path} from ${d.from}, `+
    (d.files>1||d.paths>1?`${d.files} files, ${d.paths} names`:'one change'),conflict:d=>`${d.path} in ${d.volume}`,
    alarm:d=>d.what,link:d=>d.blocked?'blocked: '+d.blocked:'all links are open'};
    function listen(){const s=new EventSource('v1/events');for(const k in tell)s.addEventListener(k,e=>{
    const d=JSON.parse(e.data),li=document.createElement('li'),q=$('events').querySelector('.quiet');if(q)q.remove();
    li.className='e-'+k;li.innerHTML=`<time>${d.at.slice(11,19)}</time><b>${k}</b>${esc(tell[k](d))}`;
    $('events').prepend(li);while($('events').children.length>200)$('events').lastChild.remove();soon()})}
    refresh();listen();setInterval(refresh,3000);
    """
}
