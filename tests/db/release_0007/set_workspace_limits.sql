-- Change a workspace's limits. Null leaves one as it is; 0 returns it to the setting.
update workspaces set
    image_rpm = nullif(coalesce(%(image_rpm)s, image_rpm), 0),
    video_rpm = nullif(coalesce(%(video_rpm)s, video_rpm), 0),
    concurrency = nullif(coalesce(%(concurrency)s, concurrency), 0)
where id = %(workspace_id)s;
